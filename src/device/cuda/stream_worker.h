// A thread with a stream of its own, whose work runs in one slice: for what the host has to launch kernel by kernel.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "core/slice.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

// The gpu's primary context is the thread's current one, as libraries expect it. Thread-safe.
class StreamWorker {
 public:
  // What may be posted and not done: a launch each of what is in flight, and who loads.
  static constexpr std::size_t kMaxPosted = 256;

  // `slice`, in atoms of the card, is within it. Error: kResourceExhausted where the card has no more streams.
  static Result<std::unique_ptr<StreamWorker>> start(std::shared_ptr<Gpu> gpu, const Slice& slice, std::string name);
  ~StreamWorker();  // does what was posted, and joins
  StreamWorker(const StreamWorker&) = delete;
  StreamWorker& operator=(const StreamWorker&) = delete;

  CUstream stream() const { return stream_.get(); }
  Status wait() const;  // until what was queued on the stream has ended

  // Has `work` done on the thread, behind what was posted before.
  void post(std::function<void()> work);
  // The same, and waits for it. Not from the thread itself.
  Status call(const std::function<Status()>& work);

 private:
  StreamWorker(std::shared_ptr<Gpu> gpu, OwnedStream stream) : gpu_(std::move(gpu)), stream_(std::move(stream)) {}
  void loop(const std::string& name);

  const std::shared_ptr<Gpu> gpu_;
  OwnedStream stream_;
  std::mutex mutex_;  // guards all below but the thread; held for a moment only
  std::condition_variable posted_;
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace tessera::device
