// Servers that do nothing but send back what came: the floors of what a server of the same libraries can reach.
#pragma once

namespace tessera::bench {

// Each prints "ready port=N", serves loopback with one thread and returns when the process gets SIGTERM.
int run_tcp_echo();
int run_http_echo();
int run_grpc_echo();

// Keeps every core from sleeping, with threads that run only where nothing else wants to. Prints "ready"; returns when
// the process gets SIGTERM.
int run_spinners();

}  // namespace tessera::bench
