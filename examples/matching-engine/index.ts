export { type DemoOptions, runDemo } from './demo.js';
export { type DemoResult, type Report, silentReport, summaryText, textReport } from './report.js';
