/** The middle sixteen pictures: night skies, dust walls, and the wind itself. See catalogue.mjs for the form. */
import { wind } from './grounds.mjs'
import { picture } from './picture.mjs'
import { haboob, milkyWay, starTrails } from './skies.mjs'

export const airPictures = [
  picture(
    'Milky Way',
    'The Milky Way above black dunes.',
    milkyWay({
      seed: 7,
      at: 0.9,
      tilt: -0.85,
      ground: '#05060d',
      sky: ['#050817', '#0d1735', '#2b3a5e'],
      cloud: ['#1b2350', '#6a5f9e', '#e8c8b8'],
    }),
  ),
  picture(
    'Summer night',
    'A band of stars in green and teal over a desert ridge.',
    milkyWay({
      seed: 17,
      at: 0.7,
      tilt: 0.6,
      ground: '#04090b',
      sky: ['#03121b', '#0b2c38', '#2f6466'],
      cloud: ['#0d3140', '#3f8a86', '#e5f0cf'],
    }),
  ),
  picture(
    'Young moon',
    'A crescent moon among stars above the dunes, the horizon still red.',
    milkyWay({
      seed: 28,
      at: 1.5,
      tilt: -0.4,
      moon: [0.55, 0.3, 0.075],
      ground: '#0d0714',
      sky: ['#0c1030', '#3a2458', '#d5694f'],
      cloud: ['#1c1a48', '#4a3574', '#a36d86'],
    }),
  ),
  picture(
    'Rose nebula',
    'Clouds of rose-coloured stars over a dark plain.',
    milkyWay({
      seed: 39,
      at: 0.8,
      tilt: -0.2,
      ground: '#080409',
      sky: ['#0a0716', '#1d0f2b', '#4a2340'],
      cloud: ['#3a174d', '#b24a78', '#ffd3b0'],
    }),
  ),
  picture(
    'Polar turn',
    'Star trails in circles around the pole above a dune.',
    starTrails({
      seed: 8,
      pole: [0.8, 0.42],
      arc: 0.55,
      ground: '#05070f',
      sky: ['#060b20', '#12234a', '#3d5580'],
      tints: ['#8fb4ff', '#ffffff', '#ffd9a0'],
    }),
  ),
  picture(
    'Six hours',
    'Long star trails that sweep from the lower left corner.',
    starTrails({
      seed: 18,
      pole: [0.15, 0.7],
      arc: 0.7,
      ground: '#0a0508',
      sky: ['#140a22', '#3c1a3f', '#b0553f'],
      tints: ['#ffcf8f', '#fff3dd', '#ff9a76'],
    }),
  ),
  picture(
    'Southern pole',
    'Short star trails around a point high on the right.',
    starTrails({
      seed: 30,
      pole: [1.2, 0.2],
      arc: 0.3,
      ground: '#030b0a',
      sky: ['#02110f', '#08302d', '#2d6f60'],
      tints: ['#9fffe0', '#ffffff', '#bfe6ff'],
    }),
  ),
  picture(
    'After dusk',
    'Star trails in violet while the horizon still glows.',
    starTrails({
      seed: 41,
      pole: [0.5, 0.05],
      arc: 0.42,
      ground: '#0b0614',
      sky: ['#120d33', '#4b2b77', '#f08a6a'],
      tints: ['#d6c2ff', '#ffffff', '#ffc7b0'],
    }),
  ),
  picture(
    'Wall of dust',
    'A wall of brown dust rolls over the plain from the left.',
    haboob({
      seed: 9,
      top: 0.14,
      from: 'left',
      sky: ['#5f7f9f', '#b9c2bd', '#e6d9bd'],
      dust: ['#3c2317', '#8f5a33', '#d69d5f', '#f7d9a3'],
      plain: ['#b98a57', '#6e4a2e'],
    }),
  ),
  picture(
    'Red storm',
    'A red storm front under a dark sky.',
    haboob({
      seed: 20,
      top: 0.22,
      from: 'right',
      sky: ['#1d1a2c', '#4b2f3e', '#a05a45'],
      dust: ['#1f0b10', '#6d2220', '#c4542f', '#f9a55c'],
      plain: ['#7d3b28', '#2c1418'],
    }),
  ),
  picture(
    'Before the rain',
    'Grey-blue clouds of dust tower over a pale plain.',
    haboob({
      seed: 31,
      top: 0.08,
      from: 'left',
      sky: ['#8ca6b8', '#c9d3d3', '#efe6d3'],
      dust: ['#2d3744', '#63707f', '#a9adb0', '#ebe4d8'],
      plain: ['#cdbb9a', '#8c7a63'],
    }),
  ),
  picture(
    'Golden front',
    'Sunlit dust billows like gold against a violet evening.',
    haboob({
      seed: 46,
      top: 0.3,
      from: 'right',
      sky: ['#3b2f66', '#8d5b88', '#f0a07e'],
      dust: ['#40213a', '#9c4f3f', '#eda24f', '#fff0b8'],
      plain: ['#a8673f', '#4a2a35'],
    }),
  ),
  picture(
    'Crosswind',
    'The wind drawn as fine sand-coloured lines.',
    wind({
      seed: 10,
      turn: 0.2,
      curl: 2.2,
      scale: 1.6,
      colours: ['#3a2015', '#9a5b32', '#e3ad6c', '#fff0cd'],
    }),
  ),
  picture(
    'Night wind',
    'Swirls of blue and silver, like wind over dark water.',
    wind({
      seed: 21,
      turn: 1.0,
      curl: 4.2,
      scale: 1.3,
      colours: ['#050b20', '#173d73', '#6fa3cf', '#f0f6ff'],
    }),
  ),
  picture(
    'Simoom',
    'A hot wind: lines of red and yellow curl upwards.',
    wind({
      seed: 32,
      turn: -0.8,
      curl: 3.4,
      scale: 1.5,
      colours: ['#2a0a18', '#9c1f2d', '#f07a35', '#ffe79b'],
    }),
  ),
  picture(
    'Sea breeze',
    'Green and cream lines that flow and part.',
    wind({
      seed: 47,
      turn: 0.0,
      curl: 3.0,
      scale: 2.0,
      colours: ['#0c2b2b', '#2f7a6c', '#a9cfa6', '#fbf6dc'],
    }),
  ),
]
