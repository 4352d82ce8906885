#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include "echo.h"

namespace tessera::bench {

int run_spinners() {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
    threads.emplace_back([&stop] {
      const sched_param none{};
      sched_setscheduler(0, SCHED_IDLE, &none);
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  std::puts("ready");
  std::fflush(stdout);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  int signal = 0;
  sigwait(&signals, &signal);
  stop.store(true);
  for (auto& thread : threads) {
    thread.join();
  }
  return 0;
}

}  // namespace tessera::bench
