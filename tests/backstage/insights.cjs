// A real tech-insights-backend that takes its facts from Fester, with notifications and people who sign
// in; and beside it a plugin `asker` that asks tech-insights by the official client, with Backstage's
// own discovery and its own token.
const { createBackend } = require('@backstage/backend-defaults');
const { coreServices, createBackendPlugin } = require('@backstage/backend-plugin-api');
const { TechInsightsClient } = require('@backstage-community/plugin-tech-insights-common/client');
const { Router } = require('express');
const express = require('express');

const asker = createBackendPlugin({
  pluginId: 'asker',
  register(env) {
    env.registerInit({
      deps: { auth: coreServices.auth, discovery: coreServices.discovery, http: coreServices.httpRouter },
      async init({ auth, discovery, http }) {
        const router = Router();
        router.use(express.json());
        // {"base": null or a URL, "calls": [[method, …arguments]]} → what each call gave.
        router.post('/ask', async (request, response) => {
          const { base, calls } = request.body;
          const discoveryApi = base ? { getBaseUrl: async () => base } : discovery;
          const client = new TechInsightsClient({ discoveryApi, identityApi: auth });
          const answers = [];
          for (const [method, ...rest] of calls) {
            try {
              answers.push({ value: await client[method](...rest) });
            } catch (error) {
              answers.push({ error: { name: error.name, status: error.statusCode ?? null } });
            }
          }
          response.json(answers);
        });
        http.use(router);
      },
    });
  },
});

const backend = createBackend();
backend.add(require('@backstage/plugin-catalog-backend'));
backend.add(require('@backstage/plugin-auth-backend'));
backend.add(require('@backstage/plugin-auth-backend-module-guest-provider'));
backend.add(require('@backstage/plugin-notifications-backend'));
backend.add(require('@backstage-community/plugin-tech-insights-backend'));
backend.add(require('@backstage-community/plugin-tech-insights-backend-module-jsonfc'));
backend.add(require('./fester-facts.cjs'));
backend.add(asker);
backend.start();

// The tests hold our stdin: should they be killed, we end as well.
process.stdin.on('end', () => process.exit(0)).resume();
