#include "device/cuda/worker_plan.h"

#include <utility>

namespace tessera::device {

WorkerPlan::~WorkerPlan() {
  static_cast<void>(worker_.call([] { return ok_status(); }));
}

Status WorkerPlan::enqueue(const Slice& slice, const LaunchQueue& queue, Batch& batch) const {
  if (slice != slice_) {
    return internal_error("a plan that cannot be captured was launched outside its slice");
  }
  if (busy_.exchange(true, std::memory_order_acquire)) {
    return internal_error("a plan that cannot be captured was launched while a batch of it runs");
  }
  ended_.store(false, std::memory_order_relaxed);
  worker_.post([this, &batch, word = queue.end_word, number = queue.end_number] { carry_out(batch, word, number); });
  return ok_status();
}

void WorkerPlan::carry_out(Batch& batch, std::uint64_t end_word, std::uint32_t end_number) const {
  Status ran = run(worker_.stream(), batch);
  const Status ended = worker_.wait();  // in any case: what was queued reads and writes the batch
  if (!ended.ok()) {
    ran = ended;
  }
  result_ = std::move(ran);
  ended_.store(true, std::memory_order_release);
  ended_.notify_all();
  std::atomic_ref(*reinterpret_cast<std::uint32_t*>(end_word)).store(end_number, std::memory_order_release);
}

Status WorkerPlan::finish(const Slice& /*slice*/, Batch& /*batch*/) const {
  wait_for_worker();
  Status result = std::exchange(result_, ok_status());
  busy_.store(false, std::memory_order_release);
  return result;
}

// The worker's calls of the driver fail at once.
void WorkerPlan::abandon(Batch& /*batch*/) const {
  wait_for_worker();
  busy_.store(false, std::memory_order_release);
}

}  // namespace tessera::device
