#include "measure/launch_log.h"

#include <utility>

#include "base/clock.h"
#include "measure/shared_parts.h"

namespace tessera::measure {
namespace {

constexpr std::size_t kRoom = 1U << 18;  // so that hardly any launch has to wait for memory

std::uint64_t whole_ns(TimePoint at) { return static_cast<std::uint64_t>(at.time_since_epoch().count()); }

}  // namespace

// A device that tells of no launch itself: what it reports is taken for when launches ran. Launches and completions may
// come from several threads at a time.
class LaunchLog::Watched final : public device::Device, public device::CompletionSink {
 public:
  explicit Watched(LaunchLog& log) : log_(log), device_(log.device_) {}

  const DeviceShape& shape() const override { return device_.shape(); }
  device::StagingPool& staging() override { return device_.staging(); }
  std::optional<std::uint16_t> atom_here() const override { return device_.atom_here(); }
  bool can_copy(std::span<const std::byte> bytes) const override { return device_.can_copy(bytes); }
  void set_sink(device::CompletionSink& sink) override {
    sink_ = &sink;
    device_.set_sink(*this);
  }
  Status copy(const device::Copy& copy) override { return device_.copy(copy); }
  Result<device::Started> launch(const device::Launch& launch) override {
    {
      const std::lock_guard lock(mutex_);
      running_[launch.id] = {.number = ++number_,
                             .id = launch.id,
                             .instance = launch.instance,
                             .lane = launch.lane,
                             .slice = launch.slice,
                             .queued = now()};
    }
    return device_.launch(launch);
  }
  void run_here(LaunchId id) override { device_.run_here(id); }
  void cancel(LaunchId id) override { device_.cancel(id); }
  void retire(LaunchId id) override {
    const TimePoint told = now();
    std::optional<device::ObservedLaunch> ended;
    {
      const std::lock_guard lock(mutex_);
      if (auto found = running_.extract(id)) {
        ended = found.mapped();
      }
    }
    if (ended) {
      ended->told = told;
      log_.note(*ended);
    }
    device_.retire(id);
  }
  Status become_loader_thread() override { return device_.become_loader_thread(); }
  Result<Duration> run_borrowed(const device::Plan& plan, const Slice& slice, Batch& batch) override {
    return device_.run_borrowed(plan, slice, batch);
  }

  void completed(const device::Completion& completion) override {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = running_.find(completion.id); found != running_.end() && completion.ran) {
        found->second.card = {whole_ns(completion.started), whole_ns(completion.ended)};
        found->second.seen = completion.ended;
      }
    }
    sink_->completed(completion);
  }
  void copied(const device::CopyEnd& end) override { sink_->copied(end); }
  void device_down(const Error& reason) override { sink_->device_down(reason); }

 private:
  LaunchLog& log_;
  device::Device& device_;
  device::CompletionSink* sink_ = nullptr;
  std::mutex mutex_;
  std::map<LaunchId, device::ObservedLaunch> running_;
  std::uint64_t number_ = 0;
};

Result<std::unique_ptr<LaunchLog>> LaunchLog::make(device::Device& device) {
  std::unique_ptr<LaunchLog> log(new LaunchLog(device));  // NOLINT: private constructor
  log->launches_.reserve(kRoom);
  if (auto* card = dynamic_cast<device::CudaDevice*>(&device)) {
    TESSERA_ASSIGN_OR_RETURN(log->clock_, device::CardClock::make(card->gpu(), card->loader_stream()));
    TESSERA_RETURN_IF_ERROR(
        card->observe([to = log.get()](const device::ObservedLaunch& launch) { to->note(launch); }));
    log->card_ = card;
  }
  return log;
}

LaunchLog::~LaunchLog() {
  if (card_ != nullptr) {
    static_cast<void>(card_->observe({}));
  }
}

std::unique_ptr<device::Device> LaunchLog::borrow() {
  if (card_ != nullptr) {
    return std::make_unique<BorrowedDevice>(device_, std::nullopt);
  }
  return std::make_unique<Watched>(*this);
}

void LaunchLog::forget() {
  launches_.clear();
  count_.store(0, std::memory_order_relaxed);
  if (clock_ != nullptr) {
    clock_->forget();
  }
}

Status LaunchLog::read_clock() { return clock_ == nullptr ? ok_status() : clock_->read(); }

device::ClockMap LaunchLog::clock() const {
  constexpr device::ClockReading kTheSame{};
  return clock_ == nullptr ? device::ClockMap(std::span(&kTheSame, 1)) : device::ClockMap(clock_->readings());
}

}  // namespace tessera::measure
