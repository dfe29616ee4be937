// Counts the pictures of the gallery as they arrive, so that one glance shows whether all did.
// Without it the page is complete; it only adds the line and the row of cells above the pictures.
const line = document.getElementById('arrived')
const cells = document.getElementById('cells')
const images = [...document.querySelectorAll('#pictures img')]
const missing = new Set()
let arrived = 0

for (const image of images) cells.append(document.createElement('i'))

function settle(index) {
  const image = images[index]
  const good = image.naturalWidth > 0
  if (good) arrived++
  else missing.add(image.getAttribute('src'))
  cells.children[index].className = good ? 'here' : 'lost'
  show()
}

function show() {
  const done = arrived + missing.size === images.length
  const parts = [`${arrived} of ${images.length} images arrived`]
  if (done) parts.push(...measured())
  if (missing.size > 0) parts.push(`missing: ${[...missing].join(', ')}`)
  line.textContent = parts.join(' · ')
  line.dataset.state = missing.size > 0 ? 'lost' : done ? 'complete' : 'waiting'
}

// Bytes and time of the pictures alone, from the browser's own record of what it fetched.
function measured() {
  const wanted = new Set(images.map(image => image.src))
  const records = performance.getEntriesByType('resource').filter(entry => wanted.has(entry.name))
  if (records.length === 0) return []
  const bytes = records.reduce((sum, entry) => sum + entry.encodedBodySize, 0)
  const start = Math.min(...records.map(entry => entry.startTime))
  const end = Math.max(...records.map(entry => entry.responseEnd))
  const kilobytes = new Intl.NumberFormat('en').format(Math.round(bytes / 1024))
  return [`${kilobytes}\u00a0KB`, `took ${Math.round(end - start)}\u00a0ms`]
}

show()
addEventListener('load', show) // by now the browser's record is complete
images.forEach((image, index) => {
  if (image.complete) settle(index)
  else for (const type of ['load', 'error']) image.addEventListener(type, () => settle(index), { once: true })
})
