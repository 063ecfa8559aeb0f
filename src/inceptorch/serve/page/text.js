// Formatting of numbers, and the order of names.

const whole = new Intl.NumberFormat("en");
const oneDigit = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
const percentage = new Intl.NumberFormat("en", { style: "percent", ...oneDigit });

export const compareNames = new Intl.Collator("en", { numeric: true }).compare;
export const count = (number) => whole.format(number);
export const percent = (probability) => percentage.format(probability);
export const wholePercent = (score) => `${Math.round(100 * score)}%`;
export const imageCount = (number) => (number === 1 ? "1 image" : `${count(number)} images`);
