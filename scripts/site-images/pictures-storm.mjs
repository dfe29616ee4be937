/**
 * The last sixteen pictures: strata, cyclones, lightning, and what the heat leaves behind. See
 * catalogue.mjs for the form.
 */
import { clay, strata } from './grounds.mjs'
import { picture } from './picture.mjs'
import { lightning, mirage, vortex } from './skies.mjs'

export const stormPictures = [
  picture(
    'The wave',
    'Sandstone in red and cream bands, curved like a wave.',
    strata({
      seed: 12,
      count: 9,
      sweep: 9,
      colours: ['#5c1f1a', '#a8442b', '#dd8451', '#f5c592', '#fdeed3'],
    }),
  ),
  picture(
    'Painted hills',
    'Banded hills in ochre, rust and grey-green.',
    strata({
      seed: 22,
      count: 7,
      sweep: 4.5,
      colours: ['#3d2a2c', '#8a3f2e', '#c98a4b', '#8e9a7d', '#efdfb9'],
    }),
  ),
  picture(
    'Violet canyon',
    'Canyon walls in violet, rose and gold.',
    strata({
      seed: 34,
      count: 11,
      sweep: 13,
      colours: ['#22103a', '#5f2463', '#b1466a', '#f08a5d', '#ffd98f'],
    }),
  ),
  picture(
    'Agate',
    'Bands of blue, white and brown, as in a cut agate.',
    strata({
      seed: 48,
      count: 13,
      sweep: 20,
      colours: ['#14263f', '#3f6b8c', '#a9c4cc', '#f4ede0', '#9b6a48'],
    }),
  ),
  picture(
    'Cyclone',
    'A cyclone of dust seen from orbit, its eye dark.',
    vortex({
      seed: 13,
      at: [0.82, 0.5],
      flat: 1.25,
      twist: 3.2,
      arms: 2,
      eye: 0.035,
      colours: ['#0e1726', '#4b3b3a', '#b07d4f', '#f0cf9c', '#fffaf0'],
    }),
  ),
  picture(
    'Great red spot',
    'A storm in red and cream bands, as on Jupiter.',
    vortex({
      seed: 23,
      at: [0.95, 0.55],
      flat: 1.9,
      twist: 2.2,
      arms: 3,
      eye: 0.06,
      colours: ['#3a120f', '#9c3d26', '#d9885a', '#f3d3ab', '#fff6e6'],
    }),
  ),
  picture(
    'Blue eye',
    'A blue spiral of cloud with a calm eye.',
    vortex({
      seed: 35,
      at: [0.62, 0.46],
      flat: 1.15,
      twist: 4.2,
      arms: 2,
      eye: 0.045,
      colours: ['#04122b', '#0d3a66', '#4d8db8', '#c4e0ea', '#ffffff'],
    }),
  ),
  picture(
    'Dust devil',
    'A whirl of violet and amber dust, looked at from above.',
    vortex({
      seed: 49,
      at: [0.8, 0.48],
      flat: 1,
      twist: 5.6,
      arms: 4,
      eye: 0.03,
      colours: ['#160d2b', '#4f2a63', '#b65a6b', '#f7a95f', '#fff0b5'],
    }),
  ),
  picture(
    'Strike',
    'A forked lightning stroke over black dunes.',
    lightning({
      seed: 15,
      strokes: [[0.95, 0.02, 0.8, 0.8]],
      flash: '#b9a8ff',
      ground: '#06050d',
      sky: ['#0b0a1c', '#2a2050', '#6a4f8c'],
    }),
  ),
  picture(
    'Two strokes',
    'Two lightning strokes in a blue night.',
    lightning({
      seed: 25,
      strokes: [
        [0.45, 0, 0.5, 0.78],
        [1.2, 0.05, 1.05, 0.8],
      ],
      flash: '#8fd0ff',
      ground: '#03070c',
      sky: ['#040b18', '#10304f', '#3d7290'],
    }),
  ),
  picture(
    'Dust lightning',
    'Lightning in a cloud of orange dust.',
    lightning({
      seed: 36,
      strokes: [[0.7, 0, 0.95, 0.8]],
      flash: '#ffc27a',
      ground: '#0e0504',
      sky: ['#1d0b0a', '#5f2416', '#c4672d'],
    }),
  ),
  picture(
    'Green thunder',
    'Three strokes under a green thundercloud.',
    lightning({
      seed: 50,
      strokes: [
        [0.3, 0, 0.22, 0.8],
        [0.85, 0, 0.9, 0.8],
        [1.35, 0, 1.42, 0.8],
      ],
      flash: '#a4ffcf',
      ground: '#020a08',
      sky: ['#03110f', '#0f3b34', '#4a8a6c'],
    }),
  ),
  picture(
    'Mirage',
    'A low sun and its reflection in what looks like a lake.',
    mirage({
      seed: 1,
      sun: 0.95,
      lift: 0.08,
      radius: 0.11,
      horizon: 0.55,
      sunColour: '#fff0b5',
      ground: '#b0654d',
      sky: ['#4a5f9e', '#e29a86', '#ffd18f'],
    }),
  ),
  picture(
    'Salt mirror',
    'A white sun over a salt flat, sky and ground nearly one.',
    mirage({
      seed: 2,
      sun: 0.5,
      lift: 0.22,
      radius: 0.07,
      horizon: 0.5,
      sunColour: '#ffffff',
      ground: '#c9d3da',
      sky: ['#7fa9cc', '#c7dbe4', '#f6efe2'],
    }),
  ),
  picture(
    'Cracked clay',
    'Dried clay in plates, the cracks dark between them.',
    clay({
      seed: 38,
      count: 6.5,
      flat: 1,
      colours: ['#2a1a14', '#8f6145', '#c99a6c', '#f3d9ae'],
    }),
  ),
  picture(
    'Dry lake',
    'Grey-blue plates of a dried lake at dusk, warm light at their edges.',
    clay({
      seed: 52,
      count: 7,
      flat: 1.5,
      colours: ['#131827', '#41506b', '#9a8c93', '#ffd0a0'],
    }),
  ),
]
