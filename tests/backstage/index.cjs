// The smallest Backstage backend with a catalog and people who sign in, as an adopter would start
// it, and a plugin that shows the tests its token.
const { createBackend } = require('@backstage/backend-defaults');

const backend = createBackend();
backend.add(require('@backstage/plugin-catalog-backend'));
backend.add(require('@backstage/plugin-auth-backend'));
backend.add(require('@backstage/plugin-auth-backend-module-guest-provider'));
backend.add(require('./tokens.cjs'));
backend.start();

// The tests hold our stdin: should they be killed, we end as well.
process.stdin.on('end', () => process.exit(0)).resume();
