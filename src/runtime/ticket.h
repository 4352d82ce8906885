// A request between admission and answer, and a batch between launch and answer: the slots that messages, the
// scheduler's ids and the device's ids stand for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/batch.h"
#include "core/request.h"
#include "core/slice.h"
#include "device/device.h"
#include "runtime/inbox.h"
#include "runtime/served_instance.h"
#include "runtime/service.h"
#include "runtime/slot_pool.h"

namespace tessera::runtime {

// Ids carry the number of a slot and how often it was used before, so that an old id finds nothing.
inline constexpr int kSlotBits = 20;
inline constexpr std::size_t kMaxSlots = std::size_t{1} << kSlotBits;
constexpr std::uint64_t slot_id(std::uint64_t generation, std::uint32_t index) {
  return (generation << kSlotBits) | index;
}
constexpr std::uint32_t slot_index(std::uint64_t id) { return static_cast<std::uint32_t>(id & (kMaxSlots - 1)); }
constexpr std::uint64_t slot_generation(std::uint64_t id) { return id >> kSlotBits; }

// Why a request got no result, when the scheduler did not say it in a RejectReason.
enum class Refusal {
  kTimeout,
  kDeadline,
  kQueueFull,
  kModelGone,
  kDeviceDown,
  kTooManyRows,
  kCancelled,
  kStopped,
  kFault,      // Ticket::error says it
  kFaultHere,  // the same, where no other device can have the request
};

// A request's inputs in the shape of a larger bucket, by the model's order. Immutable.
struct PaddedInputs {
  std::vector<TensorView> inputs;
  std::shared_ptr<const void> memory;  // of those that were padded
  std::shared_ptr<const void> given;   // of the others
  Bytes copied;                        // that were padded
};

// A request as admission found it. Owned by the thread that admits it, then (posted) by the holder of the role, then by
// the thread that delivers its answer; only `word` is touched by others.
struct Ticket : PoolSlot {
  // generation << 8 | flags. A ticket whose cancellation is still in the inbox is not given back to the pool before the
  // holder has seen it.
  static constexpr std::uint64_t kCancelPosted = 1;
  static constexpr std::uint64_t kAnswered = 2;
  static constexpr int kFlagBits = 8;
  std::atomic<std::uint64_t> word{std::uint64_t{1} << kFlagBits};

  Message arrival{Message::Kind::kArrival, this};
  Message cancellation{Message::Kind::kCancel, this};

  std::shared_ptr<InferCall> call;
  std::shared_ptr<ServedInstance> served;

  // What admission worked out.
  std::int32_t rows = 1;  // 1 for a model without a batch dimension
  ShapeId shape;
  std::uint32_t priority = 0;
  std::optional<Duration> timeout;
  std::vector<std::uint32_t> inputs;   // by the model's order: which of the request's inputs
  std::vector<std::uint32_t> outputs;  // by the answer's order: which of the model's outputs
  std::optional<std::uint16_t> poster_atom;
  TimePoint arrived{};
  // Of a model with shape buckets, by axis: what the request brought, and what it is computed in.
  std::vector<std::int64_t> given_sizes;
  std::vector<std::int64_t> bucket_sizes;
  std::shared_ptr<const PaddedInputs> padded;  // nullptr: it is computed as it came

  // Of the model's input `i`, as it is computed.
  const TensorView& input(std::size_t i) const {
    return padded != nullptr ? padded->inputs[i] : call->request.inputs[inputs[i]].tensor;
  }
  // Keeps the bytes of all inputs alive.
  std::shared_ptr<const void> input_memory() const {
    return padded != nullptr ? std::shared_ptr<const void>(padded) : call->request.memory;
  }

  // What the holder of the role had copied ahead.
  std::vector<bool> copied;  // by the model's order of inputs; empty: none
  CopyId last_copy{};        // that carries bytes of it; 0: none

  // kWaiting only while the holder of the role owns the ticket, which may therefore look at any ticket's state.
  enum class State { kPosted, kWaiting, kLaunched, kRefused };
  std::atomic<State> state{State::kPosted};
  Refusal refusal = Refusal::kTimeout;
  Duration retry_after{0};
  std::shared_ptr<const Error> error;  // of kFault and kFaultHere

  Ticket* next = nullptr;  // in the batch's list, or in a turn's list of refused ones

  RequestId id() const { return {slot_id(word.load(std::memory_order_relaxed) >> kFlagBits, index)}; }
};

// A batch on its way. Owned by the holder of the role; between launch and completion `batch` by the device, then by the
// thread that delivers the answers.
struct LaunchRecord : PoolSlot {
  Message ended{Message::Kind::kLaunchEnded, this};

  std::uint64_t generation = 1;
  LaunchId scheduled;  // the scheduler's id; the device knows the launch by id()
  std::shared_ptr<ServedInstance> served;
  Batch batch;
  Slice slice;
  bool accepted = false;    // by the device
  Ticket* first = nullptr;  // the requests, in batch order, linked by `next`
  TimePoint launched{};
  TimePoint ready{};
  device::Completion completion;  // written by whoever completes it, before `ended` is posted
  // Of requests that were answered although the device still has the batch: their bytes may be read yet.
  std::vector<std::shared_ptr<const void>> kept;

  LaunchRecord* next = nullptr;  // in a turn's list

  LaunchId id() const { return {slot_id(generation, index)}; }
};

// A first-in-first-out list through the `next` of its elements. Owned by one thread.
template <typename T>
class Chain {
 public:
  void push(T& element) {
    element.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &element;
    last_ = &element;
  }
  T* pop() {
    T* element = first_;
    if (element != nullptr) {
      first_ = element->next;
      if (first_ == nullptr) {
        last_ = nullptr;
      }
      element->next = nullptr;
    }
    return element;
  }
  bool empty() const { return first_ == nullptr; }
  T* first() const { return first_; }

 private:
  T* first_ = nullptr;
  T* last_ = nullptr;
};

}  // namespace tessera::runtime
