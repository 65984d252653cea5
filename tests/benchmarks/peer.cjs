// A Backstage backend with its own GitLab discovery, as its documentation says to install it.
const { createBackend } = require('@backstage/backend-defaults');

const backend = createBackend();
backend.add(require('@backstage/plugin-catalog-backend'));
backend.add(require('@backstage/plugin-catalog-backend-module-gitlab'));
backend.start();

// The benchmark holds our stdin: should it be killed, we end as well.
process.stdin.on('end', () => process.exit(0)).resume();
