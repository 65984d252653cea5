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
        const listed = async (tries = 30) => {
          try {
            return await read('');
          } catch (error) {
            if (tries === 0) throw error;
            await new Promise(resolve => setTimeout(resolve, 2000)); // Fester may start later
            return listed(tries - 1);
          }
        };
        for (const retriever of await listed()) {
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
