# A stock Caddy with Tallygate in it:
#   docker build -f xcaddy.Dockerfile -t caddy-tallygate .
# Outside Docker the xcaddy line is the same; a test builds and runs it.
FROM caddy:2.11.9-builder AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 xcaddy build v2.11.9 \
	--with github.com/tallygate/tallygate/caddymodule \
	--replace github.com/tallygate/tallygate=/src \
	--output /usr/bin/caddy

FROM caddy:2.11.9
COPY --from=build /usr/bin/caddy /usr/bin/caddy
COPY Caddyfile /etc/caddy/Caddyfile
# Users, keys, usage and the journal are kept in ./data.
WORKDIR /var/lib/tallygate
VOLUME /var/lib/tallygate
EXPOSE 8000 8001
