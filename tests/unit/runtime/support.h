// What the runtime's tests share: models made in the test, calls that remember their answer, a device driven by hand.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "core/request.h"
#include "device/device.h"
#include "device/host/host_plan.h"
#include "engine/engine.h"
#include "model/instance.h"
#include "runtime/serving.h"

namespace tessera::runtime::test {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Lines = std::vector<std::string>;

// ---- Models ----

using RunFunction = std::function<Status(const Slice&, Batch&)>;

class FunctionPlan final : public device::HostPlan {
 public:
  explicit FunctionPlan(RunFunction run) : run_(std::move(run)) {}
  Status run(const Slice& slice, Batch& batch) const override { return run_(slice, batch); }

 private:
  RunFunction run_;
};

class FunctionModel final : public engine::LoadedModel {
 public:
  explicit FunctionModel(RunFunction run) : plan_(std::move(run)) {}
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override { return &plan_; }
  bool one_plan_per_slice() const override { return true; }

 private:
  engine::FileSignature signature_;
  FunctionPlan plan_;
};

// outputs[0] = inputs[0] + inputs[1], outputs[1] = inputs[0] - inputs[1], on INT32 rows of any length.
inline Status add_sub(Batch& batch) {
  struct Memory {
    std::vector<std::int32_t> sum;
    std::vector<std::int32_t> difference;
  };
  auto memory = std::make_shared<Memory>();
  for (std::size_t part = 0; part < batch.inputs[0].parts.size(); ++part) {
    const auto a = batch.inputs[0].parts[part];
    const auto b = batch.inputs[1].parts[part];
    for (std::size_t at = 0; at + 4 <= a.size(); at += 4) {
      std::int32_t x = 0;
      std::int32_t y = 0;
      std::memcpy(&x, a.data() + at, 4);
      std::memcpy(&y, b.data() + at, 4);
      memory->sum.push_back(x + y);
      memory->difference.push_back(x - y);
    }
  }
  const Shape shape = batch.inputs[0].row_shape.with_first(batch.rows);
  batch.outputs = {{DType::kInt32, shape, std::as_bytes(std::span(memory->sum))},
                   {DType::kInt32, shape, std::as_bytes(std::span(memory->difference))}};
  batch.output_memory = memory;
  return ok_status();
}

inline RunFunction add_sub_plan() {
  return [](const Slice&, Batch& batch) { return add_sub(batch); };
}

inline ModelSignature add_sub_signature(std::int32_t max_batch_size = 8, std::int64_t columns = 16) {
  return {{{"A", DType::kInt32, {columns}}, {"B", DType::kInt32, {columns}}},
          {{"SUM", DType::kInt32, {columns}}, {"DIFFERENCE", DType::kInt32, {columns}}},
          max_batch_size};
}

// An instance with one lane a slice; `adjust` sees it before it becomes immutable.
inline std::shared_ptr<const model::Instance> make_instance(
    InstanceId id, std::string name, RunFunction run, ModelSignature signature = add_sub_signature(),
    const std::function<void(sched::ModelParams&)>& adjust = [](sched::ModelParams&) {}) {
  auto instance = std::make_shared<model::Instance>();
  instance->id = id;
  instance->name = name;
  instance->version = 1;
  instance->signature = std::move(signature);
  sched::ModelParams& params = instance->config.params;
  params.name = std::move(name);
  params.max_batch_size = instance->signature.max_batch_size;
  for (std::int32_t bucket = 1; bucket <= std::max(params.max_batch_size, 1); bucket *= 2) {
    params.buckets.push_back(bucket);
  }
  params.dynamic_batching = params.max_batch_size > 0;
  adjust(params);
  instance->engine_model = std::make_unique<FunctionModel>(std::move(run));
  return instance;
}

// Publishes an instance and makes every slice ready, as the loader thread would.
inline std::shared_ptr<const model::Instance> publish(Serving& serving, std::shared_ptr<const model::Instance> instance,
                                                      sched::Profile profile = {}) {
  const Status published = serving.publish(instance, std::move(profile));
  TESSERA_CHECK(published.ok());
  for (const Slice& slice : serving.device().shape().ladder) {
    serving.slice_ready(*instance, slice);
  }
  return instance;
}

// ---- Requests ----

class TestCall final : public InferCall {
 public:
  void done(Result<InferResponse> result) noexcept override {
    answered_at = now();
    TESSERA_CHECK(count.fetch_add(1) == 0);
    if (on_done) {
      on_done(result);
    }
    answer.set_value(std::move(result));
  }
  Result<InferResponse> wait() { return answer.get_future().get(); }

  std::atomic<int> count{0};
  std::promise<Result<InferResponse>> answer;
  std::function<void(const Result<InferResponse>&)> on_done;
  TimePoint answered_at{};
};

struct Numbers {
  std::vector<std::int32_t> a;
  std::vector<std::int32_t> b;
};

// A request whose numbers tell it from every other one.
inline std::shared_ptr<TestCall> add_sub_call(std::string model, std::int32_t seed, std::int64_t rows = 1,
                                              std::int64_t columns = 16, bool batches = true) {
  auto numbers = std::make_shared<Numbers>();
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    numbers->a.push_back(seed * 1000 + static_cast<std::int32_t>(i));
    numbers->b.push_back(seed * 7 - static_cast<std::int32_t>(i));
  }
  auto call = std::make_shared<TestCall>();
  const Shape shape = batches ? Shape{rows, columns} : Shape{columns};
  call->request.model = std::move(model);
  call->request.inputs = {{"A", {DType::kInt32, shape, std::as_bytes(std::span(numbers->a))}},
                          {"B", {DType::kInt32, shape, std::as_bytes(std::span(numbers->b))}}};
  call->request.memory = numbers;
  return call;
}

// Whether the answer is bit by bit that of the call's request.
inline bool add_sub_is_right(const TestCall& call, const Result<InferResponse>& answer) {
  if (!answer.ok() || answer->outputs.size() != 2) {
    return false;
  }
  const auto& numbers = *static_cast<const Numbers*>(call.request.memory.get());
  Numbers expected;
  for (std::size_t i = 0; i < numbers.a.size(); ++i) {
    expected.a.push_back(numbers.a[i] + numbers.b[i]);
    expected.b.push_back(numbers.a[i] - numbers.b[i]);
  }
  const auto same = [&](const OutputTensor& output, const std::vector<std::int32_t>& wanted) {
    const auto bytes = std::as_bytes(std::span(wanted));
    return output.tensor.shape == call.request.inputs[0].tensor.shape && output.tensor.data.size() == bytes.size() &&
           std::memcmp(output.tensor.data.data(), bytes.data(), bytes.size()) == 0;
  };
  return answer->outputs[0].name == "SUM" && same(answer->outputs[0], expected.a) &&
         answer->outputs[1].name == "DIFFERENCE" && same(answer->outputs[1], expected.b);
}

// ---- Devices ----

class HeapStaging final : public device::StagingPool {
 public:
  class Block final : public device::StagingBlock {
   public:
    explicit Block(std::size_t size) : bytes_(size) {}
    std::span<std::byte> bytes() override { return bytes_; }

   private:
    std::vector<std::byte> bytes_;
  };
  Result<std::unique_ptr<device::StagingBlock>> lease(Bytes size) override {
    if (size.value > (1U << 20)) {
      return Error(ErrorCode::kTooLarge, "too large");
    }
    return std::unique_ptr<device::StagingBlock>(std::make_unique<Block>(size.value));
  }
};

// Accepts launches and does nothing until the test says so. Thread-safe for the test's side.
class ManualDevice final : public device::Device {
 public:
  explicit ManualDevice(std::uint16_t atoms = 2, std::uint16_t committed_per_atom = 0, std::uint16_t copies = 0) {
    shape_.copies = copies;
    shape_.name = "manual";
    shape_.committed_per_atom = committed_per_atom;
    shape_.processors.assign(atoms, 1);
    shape_.ladder = aligned_ladder(atoms);
    shape_.loader = loader_slice(atoms);
  }
  ~ManualDevice() override {
    while (end_copy()) {
    }
    while (finish(Error(ErrorCode::kCancelled, "the device is closing"))) {
    }
  }

  const DeviceShape& shape() const override { return shape_; }
  device::StagingPool& staging() override { return staging_; }
  std::optional<std::uint16_t> atom_here() const override { return atom; }
  void set_sink(device::CompletionSink& sink) override { sink_ = &sink; }

  bool can_copy(std::span<const std::byte> bytes) const override {
    return copies_anything && bytes.data() != never_copies;
  }
  Status copy(const device::Copy& copy) override {
    const std::lock_guard lock(mutex_);
    if (down_) {
      return Error(ErrorCode::kDeviceLost, *down_);
    }
    if (std::exchange(refuse_next_copy, false)) {
      return Error(ErrorCode::kInternal, "refused by the device");
    }
    TESSERA_CHECK(copies_.size() < shape_.copies);
    copies_.push_back(copy);
    return ok_status();
  }

  Result<device::Started> launch(const device::Launch& launch) override {
    const std::lock_guard lock(mutex_);
    if (down_) {
      return Error(ErrorCode::kDeviceLost, *down_);
    }
    if (refuse_next) {
      refuse_next = false;
      return Error(ErrorCode::kInternal, "refused by the device");
    }
    launches_.push_back(launch);
    accepted_.insert(launch.id.value);
    ++offers;
    here_ = launch.may_run_here ? std::optional(launch.id) : std::nullopt;
    return launch.may_run_here ? device::Started::kRunHere : device::Started::kQueued;
  }
  void run_here(LaunchId id) override {
    ran_on = std::this_thread::get_id();
    TESSERA_CHECK(here_ == id);
    run(take(id));
  }
  void cancel(LaunchId) override {}
  void retire(LaunchId id) override {
    const std::lock_guard lock(mutex_);
    TESSERA_CHECK(accepted_.erase(id.value) == 1);
    ++retired;
  }
  Status become_loader_thread() override { return ok_status(); }
  Result<Duration> run_borrowed(const device::Plan&, const Slice&, Batch&) override { return Duration(1); }

  // ---- The test's side ----
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return launches_.size();
  }
  Slice oldest_slice() {
    const std::lock_guard lock(mutex_);
    return launches_.front().slice;
  }
  Slice newest_slice() {
    const std::lock_guard lock(mutex_);
    return launches_.back().slice;
  }
  // Runs the plan of the oldest launch and completes it. False: there is none.
  bool run_oldest() { return run(take()); }
  std::vector<device::Copy> copies() {
    const std::lock_guard lock(mutex_);
    return copies_;
  }
  // Ends the oldest copy. False: there is none.
  bool end_copy(Status status = ok_status()) {
    device::CopyEnd end{.id = {}, .status = std::move(status), .ended = now()};
    {
      const std::lock_guard lock(mutex_);
      if (copies_.empty()) {
        return false;
      }
      end.id = copies_.front().id;
      copies_.erase(copies_.begin());
    }
    sink_->copied(end);
    return true;
  }
  device::Launch oldest() {
    const std::lock_guard lock(mutex_);
    return launches_.front();
  }
  bool run_newest() {
    LaunchId newest;
    {
      const std::lock_guard lock(mutex_);
      newest = launches_.back().id;
    }
    return run(take(newest));
  }
  // Completes the oldest launch without running it.
  bool finish(Error error) {
    const auto launch = take();
    if (!launch) {
      return false;
    }
    sink_->completed({launch->id, std::move(error), false, {}, {}});
    return true;
  }
  void go_down(const Error& reason) {
    {
      const std::lock_guard lock(mutex_);
      down_ = reason.message();
    }
    while (end_copy(reason)) {
    }
    while (finish(reason)) {
    }
    sink_->device_down(reason);
  }

  std::optional<std::uint16_t> atom;  // of the calling thread
  bool refuse_next = false;
  bool refuse_next_copy = false;
  bool copies_anything = true;
  const std::byte* never_copies = nullptr;  // but for what lies there
  bool short_runs = false;                  // reports that runs took 1 us, however slow the test is
  int offers = 0;
  std::atomic<int> retired{0};
  std::thread::id ran_on;

 private:
  bool run(const std::optional<device::Launch>& launch) {
    if (!launch) {
      return false;
    }
    const TimePoint started = now();
    Status status = static_cast<const device::HostPlan*>(launch->plan)->run(launch->slice, *launch->batch);
    const TimePoint ended = now();
    sink_->completed({launch->id, std::move(status), true, short_runs ? ended - microseconds(1) : started, ended});
    return true;
  }
  // The one named, or the oldest.
  std::optional<device::Launch> take(std::optional<LaunchId> id = {}) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(launches_.begin(), launches_.end(),
                                    [&](const device::Launch& launch) { return !id || launch.id == *id; });
    if (found == launches_.end()) {
      return std::nullopt;
    }
    const device::Launch launch = *found;
    launches_.erase(found);
    return launch;
  }

  DeviceShape shape_;
  HeapStaging staging_;
  device::CompletionSink* sink_ = nullptr;
  std::mutex mutex_;
  std::vector<device::Launch> launches_;
  std::vector<device::Copy> copies_;
  std::set<std::uint64_t> accepted_;  // and not retired
  std::optional<LaunchId> here_;
  std::optional<std::string> down_;
};

// A serving runtime over a device that the test drives.
struct ManualServing {
  explicit ManualServing(const std::string& policy = "temporal", Dispatcher::Limits limits = {},
                         std::uint16_t atoms = 2, std::uint16_t committed_per_atom = 0, std::uint16_t copies = 0) {
    auto owned = std::make_unique<ManualDevice>(atoms, committed_per_atom, copies);
    device = owned.get();
    ServingOptions options;
    options.policy = policy;
    options.limits = limits;
    auto created = Serving::create(std::move(options), std::move(owned));
    TESSERA_CHECK(created.ok());
    serving = std::move(created).value();
  }
  ManualDevice* device = nullptr;
  std::unique_ptr<Serving> serving;
};

inline std::future<Result<InferResponse>> send(Serving& serving, const std::shared_ptr<TestCall>& call) {
  auto answer = call->answer.get_future();
  serving.infer(call);
  return answer;
}

inline bool answered(const std::future<Result<InferResponse>>& answer) {
  return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

inline std::uint64_t failures(Serving& serving, const std::string& reason) {
  return serving.statistics().all().at(0).failures.at(reason);
}

}  // namespace tessera::runtime::test
