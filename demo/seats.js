/** One colour for each seat, the same on every screen. */

const HUES = [345, 205, 35, 150, 265, 15, 185, 300, 95, 230, 55, 325];

/** @param {number} seat */
export const seatColour = (seat) => `hsl(${HUES[seat % HUES.length]} 68% 58%)`;
