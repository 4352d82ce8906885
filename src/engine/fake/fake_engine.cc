#include "engine/fake/fake_engine.h"

#include <thread>
#include <utility>

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
    return facts_.latency(slice, batch);
  }
  Status finish(const Slice& /*slice*/, Batch& batch) const override { return facts_.finish(batch); }

 private:
  const Facts& facts_;
};

class PlanOfNoDevice final : public device::Plan {};

// Immutable.
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
  return std::unique_ptr<LoadedModel>(
      std::make_unique<FakeLoaded>(Facts{std::move(model), options.max_batch_size > 0, faults_}, plans_));
}

}  // namespace tessera::engine
