// A device without processors: launches take the time their plan says, on a clock that a test moves or on the real one.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "device/device.h"
#include "device/fake/fake_plan.h"

namespace tessera::device {

struct FakeOptions {
  enum class Clock { kManual, kReal };

  std::string name = "fake";
  std::uint16_t atoms = 4;
  Clock clock = Clock::kManual;
  // Whether a launch that still waits for others can be dropped no more, as on processors that order launches
  // themselves.
  bool commits_at_launch = false;
  bool steady = false;  // as DeviceShape's
  std::size_t max_in_flight = 1024;
  // Copies that may be outstanding, and how long one takes; they go one after the other. It copies nothing, so any
  // bytes will do.
  std::uint16_t copies = 0;
  std::function<Duration(Bytes)> copy_time = [](Bytes bytes) {
    return std::chrono::microseconds(10) + Duration(static_cast<Duration::rep>(bytes.value / 50));
  };
};

// Thread-safe. Orders launches by itself, so retire() does nothing, and never asks its caller to run one. With the
// manual clock, which begins at 0, everything happens inside advance(), wake(), cancel() and break_down(), in an order
// that depends on nothing else.
class FakeDevice final : public Device {
 public:
  explicit FakeDevice(const FakeOptions& options);
  ~FakeDevice() override;  // cuts short what runs

  const DeviceShape& shape() const override { return shape_; }
  StagingPool& staging() override { return *staging_; }
  void set_sink(CompletionSink& sink) override { sink_ = &sink; }
  bool can_copy(std::span<const std::byte>) const override { return options_.copies > 0; }
  Status copy(const Copy& copy) override;
  Result<Started> launch(const Launch& launch) override;
  void run_here(LaunchId id) override;
  void cancel(LaunchId id) override;
  void retire(LaunchId id) override { static_cast<void>(id); }
  Status become_loader_thread() override;
  // With the manual clock no time passes.
  Result<Duration> run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) override;

  // ---- For tests ----

  TimePoint time() const;
  void advance(Duration by);                  // manual clock only; 0 ends what takes no time
  std::optional<TimePoint> next_end() const;  // of a copy, or a run whose latency is known
  void wake();                                // asks the plans again whose latency was unknown
  void refuse_next(Error reason);             // the next launch or copy
  void break_down(const Error& reason);       // the processor's fault, now
  bool is_loader_thread() const;              // whether the calling thread became it

 private:
  struct Flight {
    Launch launch;
    bool running = false;
    bool cancelled = false;
    TimePoint started{};
    std::optional<TimePoint> ends{};
  };
  struct Moving {
    CopyId id;
    TimePoint ends{};
  };
  using Report = std::variant<Completion, CopyEnd, Error>;  // Error: device_down
  using Lock = std::unique_lock<std::mutex>;

  Status admit();  // whether anything may begin
  bool must_wait(const Flight& flight) const;
  void start_ready();
  std::optional<TimePoint> first_end();
  void end_first();
  void settle(TimePoint until);
  std::list<Flight>::iterator first_to_end();
  void end(std::list<Flight>::iterator flight);
  void end_all(const Error& reason);
  void lose(const Error& reason);
  void deliver(Lock& lock);
  void run_clock();

  const FakeOptions options_;
  const DeviceShape shape_;
  const std::unique_ptr<StagingPool> staging_;
  CompletionSink* sink_ = nullptr;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  TimePoint time_{};
  std::list<Flight> flights_;  // in launch order
  std::deque<Moving> copies_;  // as begun, so that the first ends first
  std::optional<Error> refusal_;
  std::optional<Error> lost_;
  std::optional<std::thread::id> loader_;
  std::deque<Report> outbox_;
  bool delivering_ = false;  // one thread at a time calls the sink, so that reports keep their order
  bool closing_ = false;

  std::thread clock_;  // real clock only
};

}  // namespace tessera::device
