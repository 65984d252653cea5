// A module for tech-insights-backend: every fact retriever of Fester becomes one of Backstage's.
const { coreServices, createBackendModule } = require('@backstage/backend-plugin-api');
const { techInsightsFactRetrieversExtensionPoint } = require('@backstage-community/plugin-tech-insights-node');
const { DateTime } = require('luxon');

module.exports = createBackendModule({
  pluginId: 'tech-insights',
  moduleId: 'fester-facts',
  register(env) {
    env.registerInit({
      deps: { config: coreServices.rootConfig, retrievers: techInsightsFactRetrieversExtensionPoint },
      async init({ config, retrievers }) {
        const token = config.getOptionalString('fester.token');
        const headers = token ? { Authorization: `Bearer ${token}` } : {};
        const read = async path => {
          const url = `${config.getString('fester.url')}/api/ox/fact-retrievers${path}`;
          const response = await fetch(url, { headers });
          if (!response.ok) throw new Error(`${url} answered ${response.status}`);
          return response.json();
        };
        for (const retriever of await read('')) {
          const handler = async () =>
            (await read(`/${retriever.id}/facts`)).map(row => ({
              ...row,
              timestamp: DateTime.fromISO(row.timestamp),
            }));
          retrievers.addFactRetrievers({ [retriever.id]: { ...retriever, handler } });
        }
      },
    });
  },
});
