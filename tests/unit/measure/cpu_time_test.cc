#include "measure/cpu_time.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace tessera::measure {
namespace {

// Runs for 100 ms of processor time on a thread of that name, and says what is seen of it there.
double seen_of(const char* name, std::string_view name_end) {
  double seen = 0;
  std::thread thread([&] {
    ::pthread_setname_np(::pthread_self(), name);
    const double until = process_cpu_seconds() + 0.1;
    while (process_cpu_seconds() < until) {
    }
    seen = busiest_thread_seconds(name_end);
  });
  thread.join();
  return seen;
}

TEST(CpuTimeTest, ThreadsAreFoundByTheEndOfTheirNames) {
  EXPECT_GE(seen_of("a (b) c:poll", ":poll"), 0.05);
  EXPECT_EQ(seen_of("other", ":poll"), 0);
}

// Reading the numbers of one that ended after it was found fails.
TEST(CpuTimeTest, ThreadsThatEndMeanwhileAreLeftOut) {
  std::atomic<bool> stop{false};
  std::thread maker([&] {
    while (!stop.load()) {
      std::thread([] {}).join();
    }
  });
  const TimePoint until = now() + std::chrono::milliseconds(300);
  while (now() < until) {
    EXPECT_EQ(busiest_thread_seconds(":poll"), 0);
  }
  stop.store(true);
  maker.join();
}

}  // namespace
}  // namespace tessera::measure
