#include "device/cuda/stream_worker.h"

#include <semaphore>
#include <utility>

#include "base/affinity.h"
#include "base/check.h"

namespace tessera::device {

Result<std::unique_ptr<StreamWorker>> StreamWorker::start(std::shared_ptr<Gpu> gpu, const Slice& slice,
                                                          std::string name) {
  TESSERA_ASSIGN_OR_RETURN(OwnedStream stream, gpu->make_stream_in(slice, Gpu::Use::kHome));
  std::unique_ptr<StreamWorker> worker(new StreamWorker(std::move(gpu), std::move(stream)));  // NOLINT: private
  worker->thread_ = std::thread([self = worker.get(), name = std::move(name)] { self->loop(name); });
  return worker;
}

StreamWorker::~StreamWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  posted_.notify_one();
  thread_.join();
  stream_.reset();
  gpu_->stream_is_back();
}

Status StreamWorker::wait() const {
  const Driver& driver = gpu_->driver();
  return driver.check(driver.stream_synchronize(stream()), "run kernel by kernel");
}

void StreamWorker::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    TESSERA_CHECK(work_.size() < kMaxPosted && !stopping_);
    work_.push_back(std::move(work));
  }
  posted_.notify_one();
}

Status StreamWorker::call(const std::function<Status()>& work) {
  TESSERA_CHECK(std::this_thread::get_id() != thread_.get_id());
  Status status;
  std::binary_semaphore done{0};
  post([&] {
    status = work();
    done.release();
  });
  done.acquire();
  return status;
}

void StreamWorker::loop(const std::string& name) {
  name_this_thread(name);
  // Where it fails, so does whatever is queued.
  static_cast<void>(gpu_->driver().ctx_set_current(gpu_->context()));
  std::unique_lock lock(mutex_);
  for (;;) {
    posted_.wait(lock, [this] { return stopping_ || !work_.empty(); });
    if (work_.empty()) {
      return;
    }
    const std::function<void()> work = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace tessera::device
