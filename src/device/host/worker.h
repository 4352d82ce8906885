// The thread that runs a slice's launches.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include <semaphore.h>

#include "base/affinity.h"

namespace tessera::device {

// One pinned thread with room for one job. hand_over() is called by one thread at a time, and only after the job before
// was taken up; the caller's wait table sees to that.
class Worker {
 public:
  using Run = std::function<void(std::size_t job)>;

  // `run` is called on the worker's thread for each job.
  Worker(std::string name, CpuSet cpus, Run run);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void hand_over(std::size_t job);

  // Returns when the job in hand and one handed over before have ended; one handed over later is not taken up.
  void stop();

 private:
  void loop(const std::string& name, const CpuSet& cpus);

  static constexpr std::uint32_t kStop = 1U << 31;

  Run run_;
  // 0: nothing to do; else the job's number plus one, and kStop.
  alignas(64) std::atomic<std::uint32_t> word_{0};
  // Posted after each change of word_: a system call only where the worker sleeps. Not std::atomic::wait, which yields
  // the core several times before it sleeps: on a core that it shares with the thread that hands over, each yield is a
  // switch of threads.
  sem_t signal_;
  std::thread thread_;
};

}  // namespace tessera::device
