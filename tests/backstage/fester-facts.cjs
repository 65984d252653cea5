// A module for tech-insights-backend: every fact retriever of Fester becomes one of Backstage's.
const { coreServices, createBackendModule } = require('@backstage/backend-plugin-api');
const { techInsightsFactRetrieversExtensionPoint } = require('@backstage-community/plugin-tech-insights-node');
const { DateTime } = require('luxon');

const START_MS = 5000; // Backstage's start waits no longer for Fester
const PULL_MS = 60000;

module.exports = createBackendModule({
  pluginId: 'tech-insights',
  moduleId: 'fester-facts',
  register(env) {
    env.registerInit({
      deps: {
        config: coreServices.rootConfig,
        logger: coreServices.logger,
        retrievers: techInsightsFactRetrieversExtensionPoint,
      },
      async init({ config, logger, retrievers }) {
        const base = `${config.getString('fester.url')}/api/ox/fact-retrievers`;
        const token = config.getOptionalString('fester.token');
        const headers = token ? { Authorization: `Bearer ${token}` } : {};
        const read = async (path, patience) => {
          const signal = AbortSignal.timeout(patience);
          const response = await fetch(`${base}${path}`, { headers, signal });
          if (response.ok) return response.json();
          const hint = [401, 403].includes(response.status) ? '; is fester.token right?' : '';
          const error = new Error(`${base}${path} answered ${response.status}${hint}`);
          error.lasting = response.status < 500 && response.status !== 429;
          throw error;
        };
        const listed = async until => {
          try {
            return await read('', Math.max(until - Date.now(), 1));
          } catch (error) {
            if (error.lasting || Date.now() + 500 > until) throw error;
            await new Promise(resolve => setTimeout(resolve, 500)); // Fester may start later
            return listed(until);
          }
        };
        try {
          for (const retriever of await listed(Date.now() + START_MS)) {
            const handler = async () =>
              (await read(`/${retriever.id}/facts`, PULL_MS)).map(row => ({
                ...row,
                timestamp: DateTime.fromISO(row.timestamp),
              }));
            retrievers.addFactRetrievers({ [retriever.id]: { ...retriever, handler } });
          }
        } catch (error) {
          // Facts can be added while Backstage starts only; the rest of it need not wait for them.
          logger.error(`Fester's facts are missing until Backstage starts again: ${error.cause ?? error}`);
        }
      },
    });
  },
});
