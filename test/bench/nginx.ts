import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../fixtures/daemon-process.ts'

/** nginx serving the files of a directory. */
export interface Nginx extends AsyncDisposable {
  readonly url: string
}

/** Starts nginx on a free port, with sendfile, one worker and no log. */
export async function startNginx(root: string, scratch: string): Promise<Nginx> {
  const [port] = await freePorts(1)
  const prefix = join(scratch, `nginx-${port}`)
  await mkdir(prefix, { recursive: true })
  const config = `
    daemon off; master_process off; pid ${prefix}/pid; error_log stderr crit;
    events { worker_connections 256; }
    http {
      access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
      client_body_temp_path ${prefix}/b; proxy_temp_path ${prefix}/p; fastcgi_temp_path ${prefix}/f;
      uwsgi_temp_path ${prefix}/u; scgi_temp_path ${prefix}/s;
      server { listen 127.0.0.1:${port}; root ${root}; }
    }`
  await writeFile(join(prefix, 'nginx.conf'), config)
  const args = ['-p', prefix, '-c', join(prefix, 'nginx.conf')]
  const child = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const url = `http://127.0.0.1:${port}`
  while (child.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer !== undefined) break
  }
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
