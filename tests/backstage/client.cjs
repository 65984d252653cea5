// Runs calls of the official catalog client and prints what they gave.
// In (stdin): {"base": "http://…/api/catalog", "token": "…", "calls": [{"method", "args", "walk"?}]}
// Out: a JSON list of {"value"} or {"error": {"name", "status", "message"}}, one a call.
const { CatalogClient, CATALOG_FILTER_EXISTS } = require('@backstage/catalog-client');

const read = async () => {
  let text = '';
  for await (const piece of process.stdin) text += piece;
  // JSON has no symbols: the client's mark for "the field exists" comes as this text.
  return JSON.parse(text, (_, value) => (value === '<exists>' ? CATALOG_FILTER_EXISTS : value));
};

// Page by page to the end by nextCursor, and back to the beginning by prevCursor.
const walk = async (client, [request], options) => {
  const pages = [await client.queryEntities(request, options)];
  const { limit, fields } = request;
  for (const way of ['nextCursor', 'prevCursor']) {
    let cursor = pages[pages.length - 1].pageInfo[way];
    while (cursor) {
      if (pages.length > 200) throw new Error('the pages do not end');
      const page = await client.queryEntities({ cursor, limit, fields }, options);
      pages.push(page);
      cursor = page.pageInfo[way];
    }
  }
  return pages;
};

const run = async (client, { method, args, walk: walking }, options) => {
  if (walking) return walk(client, args, options);
  if (!method.startsWith('stream')) return client[method](...(args.length ? args : [undefined]), options);
  const pages = [];
  for await (const page of client[method](...(args.length ? args : [undefined]), options)) pages.push(page);
  return pages;
};

const main = async () => {
  const { base, token, calls } = await read();
  const client = new CatalogClient({ discoveryApi: { getBaseUrl: async () => base } });
  const answers = [];
  for (const call of calls) {
    try {
      const value = await run(client, call, { token });
      answers.push({ value: value === undefined ? null : value });
    } catch (error) {
      const status = error.statusCode ?? error.response?.status ?? null;
      const cause = error.cause ?? error.body?.error ?? {};
      answers.push({ error: { status, name: cause.name ?? error.name, message: cause.message ?? error.message } });
    }
  }
  process.stdout.write(JSON.stringify(answers));
};

main();
