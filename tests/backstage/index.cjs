// The smallest Backstage backend with a catalog, as an adopter would start it.
const { createBackend } = require('@backstage/backend-defaults');

const backend = createBackend();
backend.add(require('@backstage/plugin-catalog-backend'));
backend.start();

// The tests hold our stdin: should they be killed, we end as well.
process.stdin.on('end', () => process.exit(0)).resume();
