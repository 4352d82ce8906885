#include "engine/fake/fake_engine.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "device/fake/fake_plan.h"
#include "device/host/host_plan.h"
#include "engine/fake/fake_answer.h"
#include "engine/fake/fake_model_file.h"

namespace tessera::engine {
namespace {

// What the plans of a model share. Immutable, but for the faults.
struct Facts {
  FakeModelFile model;
  bool batching = false;
  std::shared_ptr<FakeFaults> faults;
  std::shared_ptr<const void> memory;  // what the model takes, until it goes

  Duration latency(const Slice& slice, const Batch& batch) const {
    return model.latency.latency(batch.bucket, slice.count).value_or(Duration{0});
  }
  Status finish(Batch& batch) const {
    if (auto fault = faults->take_run_fault()) {
      return *std::move(fault);
    }
    if (auto fault = fault_for(model, batch)) {
      return *std::move(fault);
    }
    return answer(model, batching, batch);
  }
};

// Immutable.
class HostFake final : public device::HostPlan {
 public:
  explicit HostFake(const Facts& facts) : facts_(facts) {}
  Status run(const Slice& slice, Batch& batch) const override {
    const TimePoint end = now() + facts_.latency(slice, batch);
    Status status = facts_.finish(batch);
    if (!facts_.model.spins) {
      std::this_thread::sleep_for(end - now());
    }
    while (now() < end) {
    }
    return status;
  }

 private:
  const Facts& facts_;
};

// Immutable.
class TimedFake final : public device::FakePlan {
 public:
  explicit TimedFake(const Facts& facts) : facts_(facts) {}
  std::optional<Duration> latency(const Slice& slice, const Batch& batch) const override {
    if (hangs(facts_.model, batch) && !facts_.faults->hangs_ended()) {
      return facts_.model.hangs_for;
    }
    return facts_.latency(slice, batch);
  }
  Status finish(const Slice& /*slice*/, Batch& batch) const override { return facts_.finish(batch); }

 private:
  const Facts& facts_;
};

class PlanOfNoDevice final : public device::Plan {};

// The memory of a lane: of one run or one capture at a time. Thread-safe.
class FakeLane {
 public:
  bool begin() { return !busy_.exchange(true); }
  void end() { busy_.store(false); }

 private:
  std::atomic<bool> busy_{false};
};

// Where a captured plan is homed. Thread-safe.
class FakeHomes {
 public:
  void add(const Slice& slice) {
    const std::lock_guard lock(mutex_);
    slices_.insert(slice);
  }
  void remove(const Slice& slice) {
    const std::lock_guard lock(mutex_);
    slices_.erase(slice);
  }
  bool there(const Slice& slice) const {
    const std::lock_guard lock(mutex_);
    return slices_.contains(slice);
  }

 private:
  mutable std::mutex mutex_;
  std::set<Slice> slices_;
};

Status out_of_place(bool lane_taken, const FakeHomes& homes, std::int32_t bucket, const Slice& slice,
                    const Batch& batch) {
  if (lane_taken) {
    return internal_error("a lane was launched while something ran in it");
  }
  if (!homes.there(slice)) {
    return internal_error("a plan was launched in a slice that it is not homed in");
  }
  return batch.bucket == bucket ? ok_status() : internal_error("a plan was launched for another bucket");
}

// Immutable, but for what it refers to.
class CapturedHostFake final : public device::HostPlan {
 public:
  CapturedHostFake(const Facts& facts, std::int32_t bucket, FakeLane& lane, const FakeHomes& homes)
      : run_(facts), bucket_(bucket), lane_(lane), homes_(homes) {}
  Status run(const Slice& slice, Batch& batch) const override {
    const bool mine = lane_.begin();
    Status status = out_of_place(!mine, homes_, bucket_, slice, batch);
    if (status.ok()) {
      status = run_.run(slice, batch);
    }
    if (mine) {
      lane_.end();
    }
    return status;
  }

 private:
  const HostFake run_;
  const std::int32_t bucket_;
  FakeLane& lane_;
  const FakeHomes& homes_;
};

// Likewise; the device says when a run begins and ends.
class CapturedTimedFake final : public device::FakePlan {
 public:
  CapturedTimedFake(const Facts& facts, std::int32_t bucket, FakeLane& lane, const FakeHomes& homes)
      : run_(facts), bucket_(bucket), lane_(lane), homes_(homes) {}
  void begin(const Slice& /*slice*/) const override { mine_.store(lane_.begin()); }
  std::optional<Duration> latency(const Slice& slice, const Batch& batch) const override {
    return run_.latency(slice, batch);
  }
  Status finish(const Slice& slice, Batch& batch) const override {
    const bool mine = mine_.exchange(false);
    Status status = out_of_place(!mine, homes_, bucket_, slice, batch);
    if (status.ok()) {
      status = run_.finish(slice, batch);
    }
    if (mine) {
      lane_.end();
    }
    return status;
  }

 private:
  const TimedFake run_;
  const std::int32_t bucket_;
  FakeLane& lane_;
  const FakeHomes& homes_;
  mutable std::atomic<bool> mine_{false};  // the lane is this run's
};

// A plan that stands for all slices, buckets and lanes; making it ready in a slice is heavy.
class FakeLoaded final : public LoadedModel {
 public:
  FakeLoaded(Facts facts, FakeEngine::Plans plans) : facts_(std::move(facts)) {
    if (facts_.model.refused_by_devices) {
      plan_ = std::make_unique<PlanOfNoDevice>();
    } else if (plans == FakeEngine::Plans::kHost) {
      plan_ = std::make_unique<HostFake>(facts_);
    } else {
      plan_ = std::make_unique<TimedFake>(facts_);
    }
  }

  const FileSignature& signature() const override { return facts_.model.signature; }
  MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t /*bucket*/, LaneIndex /*lane*/,
                                           const Slice& /*slice*/) override {
    std::this_thread::sleep_for(facts_.model.home_time);
    if (facts_.model.home_fault) {
      return *facts_.model.home_fault;
    }
    return static_cast<const device::Plan*>(plan_.get());
  }
  bool one_plan_per_slice() const override { return true; }

 private:
  const Facts facts_;
  std::unique_ptr<const device::Plan> plan_;
};

// A plan for each bucket and lane; a run in a slice that it is not homed in, and two at once in a lane, are errors.
// `only`: it is not captured, and runs in that slice alone.
class FakeCapturing final : public LoadedModel {
 public:
  FakeCapturing(Facts facts, FakeEngine::Plans plans, std::uint16_t lanes, const std::optional<Slice>& only)
      : facts_(std::move(facts)), kind_(plans), only_(only), lanes_(lanes) {}

  const FileSignature& signature() const override { return facts_.model.signature; }
  MemoryUse memory() const override { return {}; }
  bool one_plan_per_slice() const override { return false; }
  bool warm_when_homed() const override { return true; }
  bool homes_cheaply() const override { return !only_; }
  std::optional<Slice> only_slice() const override { return only_; }

  Result<const device::Plan*> prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    if (only_ && (slice != *only_ || lane.value != 0)) {
      return unsupported("it runs in one slice and one lane");
    }
    TESSERA_RETURN_IF_ERROR(capture(bucket, lane));
    return home(bucket, lane, slice);
  }

  Status build(std::int32_t /*bucket*/) override {
    std::this_thread::sleep_for(facts_.model.build_time);
    return ok_status();
  }

  Status capture(std::int32_t bucket, LaneIndex lane) override {
    if (find(bucket, lane) != nullptr) {
      return ok_status();
    }
    FakeLane& memory = lanes_.at(lane.value);
    if (!memory.begin()) {
      return internal_error("a lane was captured in while something ran in it");
    }
    std::this_thread::sleep_for(facts_.model.capture_time);
    memory.end();
    if (!only_ && bucket >= facts_.model.first_capture_fault) {
      return *facts_.model.capture_fault;
    }
    auto captured = std::make_unique<Captured>();
    if (kind_ == FakeEngine::Plans::kHost) {
      captured->plan = std::make_unique<CapturedHostFake>(facts_, bucket, memory, captured->homes);
    } else {
      captured->plan = std::make_unique<CapturedTimedFake>(facts_, bucket, memory, captured->homes);
    }
    const std::lock_guard lock(mutex_);
    captured_.emplace(std::pair(bucket, lane), std::move(captured));
    return ok_status();
  }

  Result<const device::Plan*> home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    Captured* captured = find(bucket, lane);
    if (captured == nullptr) {
      return unavailable("bucket " + std::to_string(bucket) + " has not been captured in lane " +
                         std::to_string(lane.value));
    }
    std::this_thread::sleep_for(facts_.model.home_time);
    if (facts_.model.home_fault) {
      return *facts_.model.home_fault;
    }
    captured->homes.add(slice);
    return static_cast<const device::Plan*>(captured->plan.get());
  }

  void drop_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) override {
    if (Captured* captured = find(bucket, lane)) {
      captured->homes.remove(slice);
    }
  }

 private:
  struct Captured {
    FakeHomes homes;
    std::unique_ptr<const device::Plan> plan;
  };

  Captured* find(std::int32_t bucket, LaneIndex lane) const {
    const std::lock_guard lock(mutex_);
    const auto found = captured_.find({bucket, lane});
    return found == captured_.end() ? nullptr : found->second.get();
  }

  const Facts facts_;
  const FakeEngine::Plans kind_;
  const std::optional<Slice> only_;
  std::vector<FakeLane> lanes_;
  mutable std::mutex mutex_;  // guards captured_
  std::map<std::pair<std::int32_t, LaneIndex>, std::unique_ptr<Captured>> captured_;
};

}  // namespace

void FakeFaults::fail_next_load(Error error) {
  const std::lock_guard lock(mutex_);
  load_ = std::move(error);
}

void FakeFaults::fail_next_run(Error error) {
  const std::lock_guard lock(mutex_);
  run_ = std::move(error);
}

std::optional<Error> FakeFaults::take_load_fault() {
  const std::lock_guard lock(mutex_);
  return std::exchange(load_, std::nullopt);
}

std::optional<Error> FakeFaults::take_run_fault() {
  const std::lock_guard lock(mutex_);
  return std::exchange(run_, std::nullopt);
}

void FakeMemory::set(std::optional<Bytes> size) {
  const std::lock_guard lock(mutex_);
  size_ = size;
}

Status FakeMemory::take(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  if (size_ && (bytes > *size_ || taken_.value > size_->value - bytes.value)) {
    const std::uint64_t free = size_->value - std::min(size_->value, taken_.value);
    return Error(ErrorCode::kOutOfMemory,
                 "the pretended device has no more memory: " + std::to_string(bytes.value >> 20) +
                     " MB more are needed, and " + std::to_string(free >> 20) + " MB are free");
  }
  taken_.value += bytes.value;
  return ok_status();
}

void FakeMemory::give_back(Bytes bytes) {
  const std::lock_guard lock(mutex_);
  taken_.value -= bytes.value;
}

Result<FileSignature> FakeEngine::inspect(const std::filesystem::path& file) {
  TESSERA_ASSIGN_OR_RETURN(FakeModelFile model, read_fake_model(file));
  return std::move(model.signature);
}

Result<std::unique_ptr<LoadedModel>> FakeEngine::load(const LoadOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(FakeModelFile model, read_fake_model(options.file));
  std::this_thread::sleep_for(model.load_time);
  if (auto fault = faults_->take_load_fault()) {
    return *std::move(fault);
  }
  if (model.load_fault) {
    return *model.load_fault;
  }
  TESSERA_RETURN_IF_ERROR(memory_->take(model.memory));
  std::shared_ptr<const void> taken(
      nullptr, [memory = memory_, bytes = model.memory](const void* /*nothing*/) { memory->give_back(bytes); });
  Facts facts{std::move(model), options.max_batch_size > 0, faults_, std::move(taken)};
  if (facts.model.captures) {
    return std::unique_ptr<LoadedModel>(
        std::make_unique<FakeCapturing>(std::move(facts), plans_, options.lanes, options.uncaptured_in));
  }
  return std::unique_ptr<LoadedModel>(std::make_unique<FakeLoaded>(std::move(facts), plans_));
}

}  // namespace tessera::engine
