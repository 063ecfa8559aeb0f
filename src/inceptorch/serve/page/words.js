// Figures in words, and the order of words.

const whole = new Intl.NumberFormat("en");
const share = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const inOrder = new Intl.Collator("en", { numeric: true }).compare;
export const count = (number) => whole.format(number);
export const percent = (probability) => share.format(probability);
export const images = (number) => (number === 1 ? "1 image" : `${count(number)} images`);
