// The state of each server, by app; servers that are down come first.

import { byId, element, keyed, write } from "./dom.js";

const REASONS = {
  connect_failed: "no connection",
  error: "connection reset before an answer",
  check: "health checks fail",
};

function createGroup(name) {
  const [count, list] = [element("span"), element("ul", { role: "list" })];
  const title = element("h3", {}, name, " ", count);
  return { node: element("div", { className: "group" }, title, list), count, list };
}

function createServer(name) {
  const [state, ejected] = [element("b"), element("span")];
  return { node: element("li", {}, state, " ", element("span", {}, name), ejected), state, ejected };
}

/** Show the servers of the apps. */
export function showServers(apps) {
  byId("servers-section").hidden = !apps.length;
  const groups = keyed(byId("servers"), apps.map(({ name }) => name), createGroup);
  for (const { name, servers } of apps) {
    const { count, list } = groups.get(name);
    const [down, up] = ["down", "up"].map((state) => servers.filter((one) => one.state === state));
    write(count, `${up.length} of ${servers.length} up`);
    const views = keyed(list, [...down, ...up].map((server) => server.name), createServer);
    for (const server of servers) {
      const { node, state, ejected } = views.get(server.name);
      node.className = server.state;
      write(state, server.state);
      write(ejected, server.ejected && ` ejected: ${REASONS[server.ejected] ?? server.ejected}`);
    }
  }
}
