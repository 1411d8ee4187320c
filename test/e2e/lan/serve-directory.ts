import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lan } from '../../fixtures/namespaces.ts'
import { within } from './world.ts'

/** How long nginx may take until it answers. */
const SERVING_MS = 10_000

/**
 * Serves a directory by nginx on a machine of a LAN, at port 80, until the LAN goes. Resolves with
 * the URL of what it has under a name, once it answers.
 */
export async function serveDirectory(
  lan: Lan,
  machine: number,
  { root, scratch }: { readonly root: string; readonly scratch: string },
  name: string,
): Promise<string> {
  const prefix = join(scratch, 'nginx')
  await mkdir(prefix)
  await writeFile(join(prefix, 'nginx.conf'), nginxConfig(prefix, root))
  const nginx = ['nginx', '-p', prefix, '-c', join(prefix, 'nginx.conf')]
  lan.spawn(machine, nginx, { stdio: 'ignore' })
  const url = `http://${lan.nodes[machine]!.address}/${name}`
  const probe = ['curl', '--silent', '--head', '--output', '/dev/null', url]
  const isServing = () =>
    lan.exec(machine, probe).then(
      () => true,
      () => false,
    )
  if (!(await within(SERVING_MS, isServing))) throw new Error('nginx does not answer')
  return url
}

function nginxConfig(prefix: string, root: string): string {
  return `
    user root; daemon off; master_process off; pid ${prefix}/pid; error_log stderr crit;
    events { worker_connections 256; }
    http {
      access_log off; sendfile on; tcp_nopush on;
      client_body_temp_path ${prefix}/b; proxy_temp_path ${prefix}/p; fastcgi_temp_path ${prefix}/f;
      uwsgi_temp_path ${prefix}/u; scgi_temp_path ${prefix}/s;
      server { listen 80; root ${root}; }
    }`
}
