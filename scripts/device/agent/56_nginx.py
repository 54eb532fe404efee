# ---------------- the web server's configuration: a pure function of what is declared

PROXY_READ_S = 3600  # a WebSocket may be silent for long
MAX_BODY_MB = 10
MAX_AGE_S = 31536000
TYPES = (
    ('text/html', 'html htm'), ('text/css', 'css'), ('text/javascript', 'js mjs'), ('text/plain', 'txt'), ('text/xml', 'xml'),
    ('text/markdown', 'md'), ('text/csv', 'csv'), ('application/json', 'json map'), ('application/manifest+json', 'webmanifest'),
    ('application/wasm', 'wasm'), ('application/pdf', 'pdf'), ('image/svg+xml', 'svg'), ('image/png', 'png'),
    ('image/jpeg', 'jpg jpeg'), ('image/gif', 'gif'), ('image/webp', 'webp'), ('image/avif', 'avif'), ('image/x-icon', 'ico'),
    ('font/woff', 'woff'), ('font/woff2', 'woff2'), ('font/ttf', 'ttf'), ('audio/mpeg', 'mp3'), ('video/mp4', 'mp4'),
)
COMPRESSED = 'text/css text/javascript text/plain text/xml application/json application/manifest+json application/wasm image/svg+xml'
HEADERS = {'X-Content-Type-Options': 'nosniff', 'X-Frame-Options': 'SAMEORIGIN', 'Referrer-Policy': 'same-origin'}


def nginx_place(text):
    """The prefix of a location, in quotes; no variable is looked for there."""
    return '"%s"' % text.replace('\\', '\\\\').replace('"', '\\"')


def nginx_word(text):
    """A word in quotes; `$` cannot be escaped, so it is a variable of our own."""
    return nginx_place(text).replace('$', '${dollar}')


def nginx_conf(web, live, runtime, port, behind, ipv6):
    """The whole configuration: files of the release at `live`, everything else that is declared from port `behind`."""
    lines = [
        '# Made by Slipway; the next deploy overwrites what is changed here.', 'daemon off;', 'worker_processes auto;',
        'pid %s/pid;' % runtime, 'error_log stderr warn;', 'events { worker_connections 1024; }', 'http {',
        '  types {',
    ] + ['    %s %s;' % pair for pair in TYPES] + [
        '  }', '  default_type application/octet-stream;', '  charset utf-8;',
        '  geo $dollar { default "$"; }',
        '  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }',
        '  map $status $worth_a_line { ~^[123] 0; default 1; }',
        '  log_format brief \'$remote_addr "$request" $status $body_bytes_sent $request_time\';',
        '  access_log syslog:server=unix:/dev/log,nohostname,tag=nginx brief if=$worth_a_line;',
        '  server_tokens off;', '  sendfile on;', '  tcp_nopush on;', '  keepalive_timeout 65;',
        '  client_max_body_size %dm;' % (web.get('maxBodyMb') or MAX_BODY_MB),
        '  gzip on;', '  gzip_vary on;', '  gzip_min_length 1024;', '  gzip_proxied any;', '  gzip_types %s;' % COMPRESSED,
    ] + ['  %s_temp_path %s/%s;' % (kind, runtime, kind) for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')] + [
        '  upstream behind { server 127.0.0.1:%s; keepalive 16; }' % behind,
        '  server {', '    listen %s default_server;' % port,
    ] + (['    listen [::]:%s default_server;' % port] if ipv6 else [])
    for prefix in web.get('proxy') or []:
        lines += nginx_proxy(prefix)
    headers = dict(HEADERS, **(web.get('headers') or {}))
    for static in web.get('static') or []:
        lines += nginx_static(static, os.path.join(live, static['folder']), headers)
    return '\n'.join(lines + ['  }', '}', ''])


def nginx_proxy(prefix):
    """A prefix of the service's own, WebSockets included."""
    return [
        '    location %s {' % nginx_place(prefix), '      proxy_pass http://behind;', '      proxy_http_version 1.1;',
        '      proxy_set_header Host $http_host;', '      proxy_set_header X-Forwarded-For $remote_addr;',
        '      proxy_set_header X-Forwarded-Proto $scheme;', '      proxy_set_header Upgrade $http_upgrade;',
        '      proxy_set_header Connection $connection_upgrade;', '      proxy_read_timeout %ds;' % PROXY_READ_S, '    }',
    ]


def nginx_static(static, folder, headers):
    """Files below a path; what is no file gets the fallback, where there is one. Names with a digest in them never change."""
    path = static['path']
    last = nginx_word(path + static['fallback']) if static.get('fallback') else '=404'
    blocks = [(path, '$uri $uri/index.html %s' % last, 'no-cache')]
    for prefix in static.get('immutable') or []:
        blocks.append((path.rstrip('/') + prefix, '$uri =404', 'public, max-age=%d, immutable' % MAX_AGE_S))
    lines = []
    for at, tries, caching in blocks:
        place = 'root %s;' % nginx_word(folder) if path == '/' else 'alias %s;' % nginx_word(folder + at[len(path) - 1:])
        lines += ['    location %s {' % nginx_place(at), '      ' + place, '      try_files %s;' % tries]
        lines += ['      add_header Cache-Control "%s";' % caching]
        lines += ['      add_header %s %s always;' % (name, nginx_word(value)) for name, value in sorted(headers.items())]
        lines += ['    }']
    return lines
