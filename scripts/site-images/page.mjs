/**
 * The gallery page, written from the catalogue so that titles, alt texts and files cannot drift
 * apart. No image is lazy: a browser asks for all of them at once, which is the point of the page.
 */

const figure = ({ file, title, alt }, width, height) => `      <li>
        <figure>
          <img src="images/${file}" width="${width}" height="${height}" decoding="async" alt="${alt}">
          <figcaption>${title}</figcaption>
        </figure>
      </li>`

/** The whole of gallery/index.html. */
export function galleryPage(catalogue, width, height) {
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Gallery · Sandstorm</title>
  <meta name="description" content="${catalogue.length} pictures of about 22 KB each, the workload of the paper.">
  <meta name="color-scheme" content="light dark">
  <link rel="icon" href="../favicon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="../style.css">
  <script src="../arrived.js" defer></script>
</head>
<body class="wide">
  <a class="skip" href="#main">Skip to the pictures</a>
  <header class="bar">
    <a class="brand" href="../"><img src="../favicon.svg" width="28" height="28" alt="">Sandstorm</a>
    <nav aria-label="Pages">
      <a href="../">Home</a>
      <a href="./" aria-current="page">Gallery</a>
    </nav>
  </header>

  <main id="main" class="gallery">
    <div class="intro">
      <p class="kicker">The workload of the paper</p>
      <h1>${catalogue.length} pictures, 22&nbsp;KB each</h1>
      <p class="lead">Many small files, asked for all at once: what most of the web is made of, and what costs a
      general network stack the most. Each picture is about sixteen packets on an ordinary Ethernet.</p>
    </div>

    <section class="meter" aria-labelledby="arrived-title">
      <h2 id="arrived-title" class="visually-hidden">What has arrived</h2>
      <output id="arrived" role="status">${catalogue.length} pictures are on this page. With scripts on, it counts them as they arrive.</output>
      <div id="cells" aria-hidden="true"></div>
    </section>

    <ul id="pictures" class="pictures">
${catalogue.map(entry => figure(entry, width, height)).join('\n')}
    </ul>
  </main>

  <footer class="foot">
    <p>Drawn by <code>scripts/make-site-images.mjs</code>: nothing but arithmetic and <code>node:zlib</code>.</p>
    <p><a href="../">Back to the home page</a></p>
  </footer>
</body>
</html>
`
}
