// A server over HTTP and gRPC that reads inference requests with images of 602,112 bytes, whatever the model, and
// answers each at once with 2,000 bytes, until SIGTERM: as much as the network stack carries (bench/sockets.py). It
// prints where it listens as `tessera serve` does.
//
//   bench_bare [THREADS]   of HTTP (the cores it may use, at most 16)
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <sched.h>

#include "bare.h"

int main(int argc, char** argv) {
  constexpr int kMostThreads = 16;
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  sigaddset(&end, SIGINT);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  const int threads = argc > 1 ? std::atoi(argv[1]) : std::min(CPU_COUNT(&allowed), kMostThreads);
  if (threads < 1) {
    std::fprintf(stderr, "usage: bench_bare [THREADS]\n");
    return 2;
  }
  const auto http = tessera::bench::bare_http(static_cast<std::size_t>(threads));
  const auto grpc = tessera::bench::bare_grpc();
  std::printf("ready http=127.0.0.1:%d grpc=127.0.0.1:%d metrics=-\n", http->port(), grpc->port());
  std::fflush(stdout);
  int number = 0;
  sigwait(&end, &number);
  return 0;
}
