#include "device/host/worker.h"

#include <utility>

#include "base/check.h"

namespace tessera::device {

Worker::Worker(std::string name, CpuSet cpus, Run run) : run_(std::move(run)) {
  sem_init(&signal_, 0, 0);
  thread_ = std::thread([this, name = std::move(name), cpus] { loop(name, cpus); });
}

Worker::~Worker() {
  stop();
  sem_destroy(&signal_);
}

void Worker::stop() {
  if (!thread_.joinable()) {
    return;
  }
  word_.fetch_or(kStop, std::memory_order_release);
  sem_post(&signal_);
  thread_.join();
}

void Worker::hand_over(std::size_t job) {
  const std::uint32_t before = word_.fetch_or(static_cast<std::uint32_t>(job) + 1, std::memory_order_release);
  TESSERA_CHECK((before & ~kStop) == 0);
  sem_post(&signal_);
}

void Worker::loop(const std::string& name, const CpuSet& cpus) {
  name_this_thread(name);
  // The caller has checked that these processors are there. Should one have been taken away in between, the slice runs
  // on what is left, as the kernel would do for a pinned thread.
  static_cast<void>(pin_this_thread(cpus));
  for (;;) {
    const std::uint32_t word = word_.load(std::memory_order_acquire);
    if (word == 0) {
      sem_wait(&signal_);  // may return early: the word decides
    } else if (const std::uint32_t job = word & ~kStop; job != 0) {
      word_.fetch_and(kStop, std::memory_order_relaxed);  // the place is free again before the job can end
      run_(job - 1);
    } else {
      return;
    }
  }
}

}  // namespace tessera::device
