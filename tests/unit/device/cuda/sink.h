// What a CUDA device reports to.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "device/device.h"

namespace tessera::device::test {

// Keeps all that is reported, for a test that waits for it. Thread-safe.
class Sink final : public CompletionSink {
 public:
  void completed(const Completion& completion) override {
    std::this_thread::sleep_for(hold_up_.exchange({}));
    const std::lock_guard lock(mutex_);
    completions_.push_back(completion);
    changed_.notify_all();
  }
  void hold_up(std::chrono::milliseconds span) { hold_up_.store(span); }  // whoever reports next
  void copied(const CopyEnd& end) override {
    const std::lock_guard lock(mutex_);
    copies_.push_back(end);
    changed_.notify_all();
  }
  void device_down(const Error& reason) override {
    const std::lock_guard lock(mutex_);
    downs_.push_back(reason);
    changed_.notify_all();
  }

  std::vector<Completion> wait_for_launches(std::size_t count) { return wait_for(completions_, count); }
  std::vector<CopyEnd> wait_for_copies(std::size_t count) { return wait_for(copies_, count); }
  std::vector<Error> wait_for_downs(std::size_t count) { return wait_for(downs_, count); }
  std::size_t launches() { return size_of(completions_); }
  std::size_t copies() { return size_of(copies_); }
  std::size_t downs() { return size_of(downs_); }

 private:
  static constexpr std::chrono::seconds kLong{30};

  template <typename T>
  std::vector<T> wait_for(const std::vector<T>& reports, std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kLong, [&] { return reports.size() >= count; }));
    return reports;
  }
  template <typename T>
  std::size_t size_of(const std::vector<T>& reports) {
    const std::lock_guard lock(mutex_);
    return reports.size();
  }

  std::atomic<std::chrono::milliseconds> hold_up_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Completion> completions_;
  std::vector<CopyEnd> copies_;
  std::vector<Error> downs_;
};

}  // namespace tessera::device::test
