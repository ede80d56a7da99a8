/* Samba's LDAP ports are fixed; preloaded, this adds PORTSHIFT to them, so that whoever runs the
   tests can start it. getsockname gives the fixed port back: by it Samba knows where TLS is spoken. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int moved(void)
{
    const char *by = getenv("PORTSHIFT");
    return by ? atoi(by) : 0;
}

static in_port_t *port_in(struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return &((struct sockaddr_in *)address)->sin_port;
    if (address->sa_family == AF_INET6)
        return &((struct sockaddr_in6 *)address)->sin6_port;
    return NULL;
}

static int fixed(int port)
{
    return port == 389 || port == 636 || port == 3268 || port == 3269;
}

int bind(int socket, const struct sockaddr *address, socklen_t length)
{
    int (*original)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    struct sockaddr_storage copy;
    in_port_t *port;

    if (address == NULL || length > sizeof copy)
        return original(socket, address, length);
    memset(&copy, 0, sizeof copy);
    memcpy(&copy, address, length);
    port = port_in((struct sockaddr *)&copy);
    if (port != NULL && fixed(ntohs(*port)))
        *port = htons(ntohs(*port) + moved());
    return original(socket, (struct sockaddr *)&copy, length);
}

int getsockname(int socket, struct sockaddr *restrict address, socklen_t *restrict length)
{
    int (*original)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "getsockname");
    int code = original(socket, address, length);
    in_port_t *port = code == 0 && address != NULL ? port_in(address) : NULL;

    if (port != NULL && fixed(ntohs(*port) - moved()))
        *port = htons(ntohs(*port) - moved());
    return code;
}
