/*
 * Lines and areas that can be told apart without their colours.
 */

export type LineStyle = 'full' | 'dashed' | 'dotted';
export const lineDash: Record<LineStyle, number[]> = { full: [], dashed: [8, 4], dotted: [2, 3] };

export type Texture = 'full' | 'stripes' | 'dots';

const tile = 8;

/** A fill for areas. */
export function patternOf(color: string, texture: Texture): CanvasPattern | string {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = tile;
  const context = canvas.getContext('2d')!;
  context.globalAlpha = texture === 'full' ? 0.75 : 0.25;
  context.fillStyle = context.strokeStyle = color;
  context.fillRect(0, 0, tile, tile);
  context.globalAlpha = 1;
  if (texture === 'stripes') {
    context.lineWidth = 2;
    context.beginPath();
    // Also in the corners, so that the stripes meet those of the next tile.
    for (const shift of [-tile, 0, tile]) {
      context.moveTo(shift - 1, tile + 1);
      context.lineTo(shift + tile + 1, -1);
    }
    context.stroke();
  } else if (texture === 'dots') {
    context.beginPath();
    context.arc(tile / 2, tile / 2, 1.75, 0, 2 * Math.PI);
    context.fill();
  }
  return context.createPattern(canvas, 'repeat') ?? color;
}
