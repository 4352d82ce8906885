#include "device/fake/fake_device.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "device/launch_check.h"

namespace tessera::device {
namespace {

constexpr Bytes kLargestBlock{64ULL << 20};
constexpr std::size_t kBlockAlignment = 64;

// Heap memory for one lease. Owned by who leased it, one thread at a time.
class HeapBlock final : public StagingBlock {
 public:
  explicit HeapBlock(std::size_t size) : memory_(size + kBlockAlignment), size_(size) {}
  std::span<std::byte> bytes() override {
    void* at = memory_.data();
    std::size_t room = memory_.size();
    return {static_cast<std::byte*>(std::align(kBlockAlignment, size_, at, room)), size_};
  }

 private:
  std::vector<std::byte> memory_;
  std::size_t size_;
};

// Thread-safe.
class HeapPool final : public StagingPool {
 public:
  Result<std::unique_ptr<StagingBlock>> lease(Bytes size) override {
    if (size > kLargestBlock) {
      return Error(ErrorCode::kTooLarge, "request memory: a block has at most 64 MB");
    }
    return std::unique_ptr<StagingBlock>(std::make_unique<HeapBlock>(size.value));
  }
};

const FakePlan& fake(const Plan* plan) { return static_cast<const FakePlan&>(*plan); }

}  // namespace

FakeDevice::FakeDevice(const FakeOptions& options)
    : options_(options),
      shape_{.name = options.name,
             .processors = std::vector<std::uint16_t>(options.atoms, 1),
             .ladder = aligned_ladder(options.atoms),
             .loader = loader_slice(options.atoms),
             .copies = options.copies,
             .steady = options.steady},
      staging_(std::make_unique<HeapPool>()) {
  if (options_.clock == FakeOptions::Clock::kReal) {
    time_ = now();
    clock_ = std::thread([this] { run_clock(); });
  }
}

FakeDevice::~FakeDevice() {
  {
    Lock lock(mutex_);
    closing_ = true;
    end_all(Error(ErrorCode::kCancelled, "device " + shape_.name + " is closing"));
    deliver(lock);
  }
  changed_.notify_all();
  if (clock_.joinable()) {
    clock_.join();
  }
}

Status FakeDevice::admit() {
  TESSERA_CHECK(sink_ != nullptr);
  if (closing_) {
    return Error(ErrorCode::kCancelled, "device " + shape_.name + " is closing");
  }
  if (lost_) {
    return *lost_;
  }
  if (refusal_) {
    return *std::exchange(refusal_, std::nullopt);
  }
  return ok_status();
}

Status FakeDevice::copy(const Copy& copy) {
  const Lock lock(mutex_);
  TESSERA_RETURN_IF_ERROR(admit());
  TESSERA_CHECK(copies_.size() < options_.copies);
  if (options_.clock == FakeOptions::Clock::kReal) {
    time_ = std::max(time_, now());
  }
  const TimePoint begins = copies_.empty() ? time_ : copies_.back().ends;
  copies_.push_back({copy.id, begins + options_.copy_time({copy.bytes.size()})});
  changed_.notify_all();
  return ok_status();
}

Result<Started> FakeDevice::launch(const Launch& launch) {
  TESSERA_RETURN_IF_ERROR(check_launch(shape_, launch));
  const Lock lock(mutex_);
  TESSERA_RETURN_IF_ERROR(admit());
  if (flights_.size() == options_.max_in_flight) {
    return Error(ErrorCode::kResourceExhausted,
                 "device " + shape_.name + " has " + std::to_string(options_.max_in_flight) + " launches in flight");
  }
  if (options_.clock == FakeOptions::Clock::kReal) {
    time_ = std::max(time_, now());
  }
  flights_.push_back({.launch = launch});
  start_ready();
  changed_.notify_all();
  return Started::kQueued;
}

void FakeDevice::run_here(LaunchId id) {
  static_cast<void>(id);
  TESSERA_CHECK(false && "never asked for");
}

void FakeDevice::cancel(LaunchId id) {
  Lock lock(mutex_);
  const auto flight =
      std::find_if(flights_.begin(), flights_.end(), [id](const Flight& f) { return f.launch.id == id; });
  if (flight == flights_.end()) {
    return;
  }
  flight->cancelled = true;
  if (!flight->running && !options_.commits_at_launch) {
    outbox_.emplace_back(Completion{.id = id, .status = Error(ErrorCode::kCancelled, "cancelled before it ran")});
    flights_.erase(flight);
    start_ready();
    changed_.notify_all();
    deliver(lock);
  }
}

Status FakeDevice::become_loader_thread() {
  const Lock lock(mutex_);
  loader_ = std::this_thread::get_id();
  return ok_status();
}

bool FakeDevice::is_loader_thread() const {
  const Lock lock(mutex_);
  return loader_ == std::this_thread::get_id();
}

Result<Duration> FakeDevice::run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) {
  Lock lock(mutex_);
  if (lost_) {
    return *lost_;
  }
  if (slice.count == 0 || slice.end() > shape_.atoms()) {
    return invalid_argument("device " + shape_.name + " has " + std::to_string(shape_.atoms()) + " atoms");
  }
  fake(&plan).begin(slice);
  const auto latency = fake(&plan).latency(slice, batch);
  if (!latency) {
    return invalid_argument("a borrowed run needs a known latency");
  }
  if (options_.clock == FakeOptions::Clock::kReal) {
    changed_.wait_for(lock, *latency, [this] { return closing_ || lost_; });
  }
  const Status status = fake(&plan).finish(slice, batch);
  if (status.ok()) {
    return *latency;
  }
  if (status.error().code() == ErrorCode::kDeviceLost) {
    lose(status.error());
    deliver(lock);
  }
  return status.error();
}

TimePoint FakeDevice::time() const {
  const Lock lock(mutex_);
  return options_.clock == FakeOptions::Clock::kReal ? now() : time_;
}

void FakeDevice::advance(Duration by) {
  TESSERA_CHECK(options_.clock == FakeOptions::Clock::kManual && by >= Duration::zero());
  Lock lock(mutex_);
  settle(time_ + by);
  deliver(lock);
}

std::optional<TimePoint> FakeDevice::next_end() const {
  const Lock lock(mutex_);
  std::optional<TimePoint> first = copies_.empty() ? std::nullopt : std::optional(copies_.front().ends);
  for (const Flight& flight : flights_) {
    if (flight.ends && (!first || *flight.ends < *first)) {
      first = flight.ends;
    }
  }
  return first;
}

void FakeDevice::wake() {
  Lock lock(mutex_);
  const TimePoint at = options_.clock == FakeOptions::Clock::kReal ? std::max(time_, now()) : time_;
  for (Flight& flight : flights_) {
    if (flight.running && !flight.ends) {
      if (const auto latency = fake(flight.launch.plan).latency(flight.launch.slice, *flight.launch.batch)) {
        flight.ends = std::max(at, flight.started + *latency);
      }
    }
  }
  changed_.notify_all();
}

void FakeDevice::refuse_next(Error reason) {
  const Lock lock(mutex_);
  refusal_ = std::move(reason);
}

void FakeDevice::break_down(const Error& reason) {
  Lock lock(mutex_);
  lose(reason);
  deliver(lock);
}

bool FakeDevice::must_wait(const Flight& flight) const {
  const Launch& later = flight.launch;
  if (!copies_.empty() && copies_.front().id <= later.after_copy) {
    return true;
  }
  for (const Flight& earlier : flights_) {
    if (&earlier == &flight) {
      return false;
    }
    const bool waits = later.after == After::kLane
                           ? later.instance == earlier.launch.instance && later.lane == earlier.launch.lane
                           : later.slice.overlaps(earlier.launch.slice);
    if (waits || later.slice == earlier.launch.slice) {
      return true;
    }
  }
  return false;
}

void FakeDevice::start_ready() {
  for (Flight& flight : flights_) {
    if (flight.running || must_wait(flight)) {
      continue;
    }
    flight.running = true;
    flight.started = time_;
    fake(flight.launch.plan).begin(flight.launch.slice);
    if (const auto latency = fake(flight.launch.plan).latency(flight.launch.slice, *flight.launch.batch)) {
      flight.ends = time_ + *latency;
    }
  }
}

std::list<FakeDevice::Flight>::iterator FakeDevice::first_to_end() {
  auto first = flights_.end();
  for (auto flight = flights_.begin(); flight != flights_.end(); ++flight) {
    if (flight->ends && (first == flights_.end() || *flight->ends < *first->ends)) {
      first = flight;
    }
  }
  return first;
}

std::optional<TimePoint> FakeDevice::first_end() {
  const auto flight = first_to_end();
  std::optional<TimePoint> first = flight == flights_.end() ? std::nullopt : flight->ends;
  if (!copies_.empty() && (!first || copies_.front().ends <= *first)) {
    first = copies_.front().ends;
  }
  return first;
}

// A copy goes before a run that ends at the same time.
void FakeDevice::end_first() {
  const auto flight = first_to_end();
  if (copies_.empty() || (flight != flights_.end() && *flight->ends < copies_.front().ends)) {
    end(flight);
    return;
  }
  outbox_.emplace_back(CopyEnd{.id = copies_.front().id, .ended = time_});
  copies_.pop_front();
}

// Ends copies and runs and starts what waited for them, one after the other as time goes by.
void FakeDevice::settle(TimePoint until) {
  for (auto at = first_end(); at && *at <= until; at = first_end()) {
    time_ = std::max(time_, *at);
    end_first();
    start_ready();
  }
  time_ = std::max(time_, until);
}

void FakeDevice::end(std::list<Flight>::iterator flight) {
  Batch& batch = *flight->launch.batch;
  Completion completion{.id = flight->launch.id, .ran = true, .started = flight->started, .ended = time_};
  completion.status = fake(flight->launch.plan).finish(flight->launch.slice, batch);
  const std::optional<Error> fault =
      !completion.status.ok() && completion.status.error().code() == ErrorCode::kDeviceLost
          ? std::optional(completion.status.error())
          : std::nullopt;
  if (!fault && flight->cancelled) {
    completion.status = Error(ErrorCode::kCancelled, "cancelled while it ran");
  }
  if (!completion.status.ok()) {
    batch.outputs.clear();
    batch.output_memory.reset();
  }
  outbox_.emplace_back(std::move(completion));
  flights_.erase(flight);
  if (fault) {
    lose(*fault);
  }
}

void FakeDevice::end_all(const Error& reason) {
  for (const Moving& copy : copies_) {
    outbox_.emplace_back(CopyEnd{.id = copy.id, .status = reason, .ended = time_});
  }
  copies_.clear();
  for (const Flight& flight : flights_) {
    outbox_.emplace_back(Completion{.id = flight.launch.id,
                                    .status = reason,
                                    .ran = flight.running,
                                    .started = flight.started,
                                    .ended = flight.running ? time_ : TimePoint{}});
  }
  flights_.clear();
}

void FakeDevice::lose(const Error& reason) {
  if (lost_) {
    return;
  }
  lost_ = Error(ErrorCode::kDeviceLost, "device " + shape_.name + " is lost: " + reason.message());
  end_all(*lost_);
  outbox_.emplace_back(*lost_);
}

void FakeDevice::deliver(Lock& lock) {
  if (delivering_) {
    return;  // that thread takes the new reports too
  }
  delivering_ = true;
  while (!outbox_.empty()) {
    const Report report = std::move(outbox_.front());
    outbox_.pop_front();
    lock.unlock();
    if (const auto* completion = std::get_if<Completion>(&report)) {
      sink_->completed(*completion);
    } else if (const auto* copy = std::get_if<CopyEnd>(&report)) {
      sink_->copied(*copy);
    } else {
      sink_->device_down(std::get<Error>(report));
    }
    lock.lock();
  }
  delivering_ = false;
  changed_.notify_all();
}

void FakeDevice::run_clock() {
  Lock lock(mutex_);
  while (!closing_) {
    const auto next = first_end();
    if (!next) {
      changed_.wait(lock);
    } else if (const Duration left = *next - now(); left > Duration::zero()) {
      changed_.wait_for(lock, left);
    }
    settle(std::max(time_, now()));
    deliver(lock);
  }
}

}  // namespace tessera::device
