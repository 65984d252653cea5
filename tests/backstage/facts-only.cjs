// A tech-insights-backend with Fester's module and nothing else, to see it start.
const { createBackend } = require('@backstage/backend-defaults');

const backend = createBackend();
backend.add(require('@backstage-community/plugin-tech-insights-backend'));
backend.add(require('@backstage-community/plugin-tech-insights-backend-module-jsonfc'));
backend.add(require('./fester-facts.cjs'));
backend.start();

// The tests hold our stdin: should they be killed, we end as well.
process.stdin.on('end', () => process.exit(0)).resume();
