// A plugin that asks Backstage for its own token to another plugin, as any plugin does before it
// calls one: GET /api/probe/<target plugin id> gives that token.
const { coreServices, createBackendPlugin } = require('@backstage/backend-plugin-api');

module.exports = createBackendPlugin({
  pluginId: 'probe',
  register(env) {
    env.registerInit({
      deps: { auth: coreServices.auth, http: coreServices.httpRouter },
      async init({ auth, http }) {
        http.addAuthPolicy({ path: '/', allow: 'unauthenticated' });
        http.use(async (request, response) => {
          const onBehalfOf = await auth.getOwnServiceCredentials();
          const targetPluginId = request.path.slice(1);
          response.json(await auth.getPluginRequestToken({ onBehalfOf, targetPluginId }));
        });
      },
    });
  },
});
