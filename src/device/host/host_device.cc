#include "device/host/host_device.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/hardware.h"
#include "device/host/flights.h"
#include "device/host/host_plan.h"
#include "device/host/worker.h"
#include "device/in_flight.h"
#include "device/launch_check.h"

namespace tessera::device {
namespace {

DeviceShape shape_of(const HostTopology& topology, const std::string& name) {
  const std::uint16_t atoms = topology.atoms();
  return {.name = name,
          .processors = std::vector<std::uint16_t>(atoms, 1),
          .ladder = aligned_ladder(atoms),
          .loader = loader_slice(atoms)};
}

std::string thread_name(const std::string& device, const Slice& slice) {
  const std::string first = device + ":" + std::to_string(slice.first);
  return slice.count == 1 ? first : first + "-" + std::to_string(slice.end() - 1);
}

void discard_results(Batch& batch) {
  batch.outputs.clear();
  batch.output_memory.reset();
}

// launch, cancel and retire: owned by the holder of the dispatcher role, with flights_ and ready_. Everything else is
// thread-safe.
class HostDevice final : public Device {
 public:
  HostDevice(HostTopology topology, const HostOptions& options);
  ~HostDevice() override;

  const DeviceShape& shape() const override { return shape_; }
  std::string hardware() const override { return hardware_; }
  StagingPool& staging() override { return *staging_; }
  std::optional<std::uint16_t> atom_here() const override { return topology_.atom_of(current_cpu()); }
  void set_sink(CompletionSink& sink) override { sink_ = &sink; }

  Result<Started> launch(const Launch& launch) override;
  void run_here(LaunchId id) override;
  void cancel(LaunchId id) override;
  void retire(LaunchId id) override;

  Status become_loader_thread() override;
  Result<Duration> run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) override;

 private:
  std::optional<std::size_t> rung(const Slice& slice) const;
  void commit(Flight& flight);
  void drop(Flight& flight, Error reason);
  void run_job(Flight& flight);
  void run(Flight& flight, const Status& pinned);
  void report(const Completion& completion);
  void lose(const Error& reason);
  Error lost_error() const { return {ErrorCode::kDeviceLost, "device " + shape_.name + " is lost: " + lost_reason_}; }
  Error closing_error() const { return {ErrorCode::kCancelled, "device " + shape_.name + " is closing"}; }

  const HostTopology topology_;
  const DeviceShape shape_;
  const std::string hardware_ = processor_name();
  const std::unique_ptr<HostStagingPool> staging_;
  CompletionSink* sink_ = nullptr;

  Flights flights_;
  std::vector<Flight*> ready_;  // kept between calls for its memory

  InFlight in_flight_;
  std::atomic<bool> closing_{false};
  std::once_flag lose_once_;
  std::string lost_reason_;  // readable once in_flight_.lost()

  std::vector<std::unique_ptr<Worker>> workers_;  // one per rung
};

HostDevice::HostDevice(HostTopology topology, const HostOptions& options)
    : topology_(std::move(topology)),
      shape_(shape_of(topology_, options.name)),
      staging_(make_host_staging(options.staging)) {
  for (const Slice& slice : shape_.ladder) {
    workers_.push_back(std::make_unique<Worker>(thread_name(shape_.name, slice), topology_.main_set(slice),
                                                [this](std::size_t job) { run_job(flights_.at(job)); }));
  }
}

// The workers first: inside the sink they may be the role holder, and use the table.
HostDevice::~HostDevice() {
  closing_.store(true);
  for (const auto& worker : workers_) {
    worker->stop();
  }
  const std::vector<Flight*> left = flights_.in_order();  // a copy: what is dropped may be retired at once
  for (Flight* flight : left) {
    if (flight->phase != Flight::Phase::kDropped && !flight->claimed.exchange(true)) {
      drop(*flight, in_flight_.lost() ? lost_error() : closing_error());
    }
  }
}

// The ladder is sorted by size, then position.
std::optional<std::size_t> HostDevice::rung(const Slice& slice) const {
  const auto& ladder = shape_.ladder;
  const auto found = std::lower_bound(ladder.begin(), ladder.end(), slice, [](const Slice& a, const Slice& b) {
    return a.count != b.count ? a.count < b.count : a.first < b.first;
  });
  return found != ladder.end() && *found == slice ? std::optional(static_cast<std::size_t>(found - ladder.begin()))
                                                  : std::nullopt;
}

Result<Started> HostDevice::launch(const Launch& launch) {
  TESSERA_CHECK(sink_ != nullptr);
  TESSERA_RETURN_IF_ERROR(check_launch(shape_, launch));
  if (closing_.load()) {
    return closing_error();
  }
  if (!in_flight_.open()) {
    return lost_error();
  }
  Flight* flight = flights_.add(launch);
  if (flight == nullptr) {
    if (in_flight_.close()) {
      sink_->device_down(lost_error());
    }
    return Error(ErrorCode::kResourceExhausted,
                 "device " + shape_.name + " has " + std::to_string(Flights::kMaxInFlight) + " launches in flight");
  }
  if (flight->waits_for > 0) {
    flight->launch.may_run_here = false;  // the caller will not be there when its turn comes
    return Started::kQueued;
  }
  if (launch.may_run_here) {
    flight->phase = Flight::Phase::kCommitted;
    return Started::kRunHere;
  }
  commit(*flight);
  return Started::kQueued;
}

void HostDevice::commit(Flight& flight) {
  flight.phase = Flight::Phase::kCommitted;
  workers_[*rung(flight.launch.slice)]->hand_over(flights_.index_of(flight));
}

void HostDevice::run_job(Flight& flight) {
  flight.claimed.store(true);
  run(flight, ok_status());
}

void HostDevice::run_here(LaunchId id) {
  Flight* flight = flights_.find(id);
  TESSERA_CHECK(flight != nullptr && flight->launch.may_run_here && !flight->claimed.exchange(true));
  const ScopedPin pin(topology_.main_set(flight->launch.slice));
  run(*flight, pin.status());
}

void HostDevice::run(Flight& flight, const Status& pinned) {
  const Launch& launch = flight.launch;
  Completion completion{.id = launch.id, .status = pinned};
  if (in_flight_.lost()) {
    completion.status = lost_error();
  } else if (closing_.load()) {
    completion.status = closing_error();
  } else if (pinned.ok()) {
    completion.ran = true;
    completion.started = now();
    completion.status = static_cast<const HostPlan*>(launch.plan)->run(launch.slice, *launch.batch);
    completion.ended = now();
    if (!completion.status.ok() && completion.status.error().code() == ErrorCode::kDeviceLost) {
      lose(completion.status.error());
    } else if (in_flight_.lost()) {
      completion.status = lost_error();
    } else if (flight.cancelled.load(std::memory_order_relaxed)) {
      completion.status = Error(ErrorCode::kCancelled, "cancelled while it ran");
    }
  }
  if (!completion.status.ok()) {
    discard_results(*launch.batch);
  }
  report(completion);
}

// From the moment the sink has it, the flight may be retired and its place be used again.
void HostDevice::report(const Completion& completion) {
  sink_->completed(completion);
  if (in_flight_.close()) {
    sink_->device_down(lost_error());
  }
}

void HostDevice::lose(const Error& reason) {
  bool idle = false;
  // A second fault at the same time waits here until the first is known, so that no launch is accepted after either.
  std::call_once(lose_once_, [&] {
    lost_reason_ = reason.message();
    idle = in_flight_.lose();
  });
  if (idle) {
    sink_->device_down(lost_error());
  }
}

void HostDevice::drop(Flight& flight, Error reason) {
  flight.phase = Flight::Phase::kDropped;
  report({.id = flight.launch.id, .status = std::move(reason)});
}

void HostDevice::cancel(LaunchId id) {
  Flight* flight = flights_.find(id);
  if (flight == nullptr) {
    return;
  }
  if (flight->phase == Flight::Phase::kWaiting) {
    drop(*flight, Error(ErrorCode::kCancelled, "cancelled before it ran"));
  } else {
    flight->cancelled.store(true, std::memory_order_relaxed);
  }
}

void HostDevice::retire(LaunchId id) {
  flights_.remove(id, ready_);
  if (in_flight_.lost()) {
    for (Flight* flight : flights_.in_order()) {
      if (flight->phase == Flight::Phase::kWaiting) {
        drop(*flight, lost_error());
      }
    }
    return;
  }
  if (closing_.load()) {
    return;  // the destructor drops what waits
  }
  for (Flight* flight : ready_) {
    commit(*flight);
  }
}

Status HostDevice::become_loader_thread() {
  name_this_thread(shape_.name + ":loader");
  return pin_this_thread(topology_.set_of(shape_.loader));
}

Result<Duration> HostDevice::run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) {
  if (slice.count == 0 || slice.end() > shape_.atoms()) {
    return invalid_argument("device " + shape_.name + " has " + std::to_string(shape_.atoms()) + " atoms");
  }
  if (in_flight_.lost()) {
    return lost_error();
  }
  const ScopedPin pin(topology_.main_set(slice));
  if (!pin.status().ok()) {
    return pin.status().error();
  }
  const TimePoint started = now();
  const Status status = static_cast<const HostPlan&>(plan).run(slice, batch);
  const Duration took = now() - started;
  if (!status.ok()) {
    if (status.error().code() == ErrorCode::kDeviceLost) {
      lose(status.error());
    }
    return status.error();
  }
  return took;
}

}  // namespace

Result<std::unique_ptr<Device>> make_host_device(const HostOptions& options) {
  TESSERA_ASSIGN_OR_RETURN(HostTopology topology, HostTopology::of(options.cores));
  return std::unique_ptr<Device>(std::make_unique<HostDevice>(std::move(topology), options));
}

}  // namespace tessera::device
