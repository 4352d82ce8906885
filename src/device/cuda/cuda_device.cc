#include "device/cuda/cuda_device.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/affinity.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/hardware.h"
#include "base/pause.h"
#include "device/cuda/completion_poller.h"
#include "device/cuda/cuda_plan.h"
#include "device/cuda/end_mark.h"
#include "device/cuda/input_copies.h"
#include "device/cuda/launch_order.h"
#include "device/in_flight.h"
#include "device/launch_check.h"

namespace tessera::device {
namespace {

Slice part_of(const Gpu& gpu, const CudaDeviceSpec& spec) { return spec.atoms.value_or(Slice{0, gpu.atoms()}); }

DeviceShape shape_of(const Gpu& gpu, const CudaOptions& options) {
  const Slice part = part_of(gpu, options.spec);
  DeviceShape shape{.name = to_string(options.spec),
                    .processors = {},
                    .ladder = aligned_ladder(part.count),
                    .loader = options.load_alone ? Slice{0, part.count} : loader_slice(part.count),
                    .committed_per_atom = 1,
                    .copies = options.copies,
                    .steady = true};
  for (std::uint16_t atom = part.first; atom < part.end(); ++atom) {
    shape.processors.push_back(gpu.processors(atom));
  }
  return shape;
}

void discard_results(Batch& batch) {
  batch.outputs.clear();
  batch.output_memory.reset();
}

constexpr std::size_t kInboundStreams = 2;
constexpr std::size_t kStreamsBesideCopies = kInboundStreams + 3;  // the loader's two and the homing thread's
static_assert(kStreamsBesideCopies + 1 == other_streams(0));

bool is_fault(const Status& status) { return !status.ok() && status.error().code() == ErrorCode::kDeviceLost; }

// While nothing ends for so long, the driver itself is asked: only it knows of faults. Not while ends come, since the
// question waits for whoever else is in the driver, which for a load can be milliseconds, and all ends behind it.
constexpr std::chrono::milliseconds kAskAfter{20};
constexpr std::chrono::microseconds kInputsPause{10};  // between two questions for a borrowed run's inputs
constexpr std::chrono::microseconds kWorkerPause{200};
constexpr std::uint32_t kLooksPerGlance = 64;  // at the clock

// What the device keeps of a launch, at its place in the order. Written by the role holder before the launch is
// watched, then the polling thread's until the launch is retired; `cancelled` is both's.
struct Flight {
  EndMark* end = nullptr;   // its place's
  EndMark* left = nullptr;  // likewise: the end of its outputs' copies
  Launch launch;
  Status queued;             // error: what was queued of it failed
  bool by_host = false;      // a worker makes it: only its word tells its end
  bool copies = false;       // of its outputs follow it
  std::uint64_t number = 0;  // of the device's launches
  bool timed = false;        // the card writes when it runs
  TimePoint begun{};         // to be queued
  TimePoint seen{};          // its end
  std::atomic<bool> cancelled{false};
};

// launch, cancel and retire: owned by the holder of the dispatcher role, with order_. The loader's side: owned by the
// loader thread. Everything else is thread-safe.
class Cuda final : public CudaDevice {
 public:
  Cuda(std::shared_ptr<Gpu> gpu, const CudaOptions& options)
      : gpu_(std::move(gpu)),
        driver_(gpu_->driver()),
        part_(part_of(*gpu_, options.spec)),
        shape_(shape_of(*gpu_, options)),
        order_(options.streams) {}
  ~Cuda() override {
    gpu_->unwatch_faults(this);
    closing_.store(true);
    if (poller_ != nullptr) {
      poller_->stop();  // sees everything in flight to its end; the thread may be launching still
    }
    for (const Launch& launch : std::exchange(held_, {})) {
      drop(launch, closing_error());
    }
  }

  Status start(const CudaOptions& options);

  const DeviceShape& shape() const override { return shape_; }
  std::string hardware() const override { return hardware_; }
  StagingPool& staging() override { return *staging_; }
  void set_sink(CompletionSink& sink) override { sink_.store(&sink); }

  bool can_copy(std::span<const std::byte> bytes) const override { return slot_of(bytes).has_value(); }
  Status copy(const Copy& copy) override;
  Result<Started> launch(const Launch& launch) override;
  void run_here(LaunchId id) override;
  void cancel(LaunchId id) override;
  void retire(LaunchId id) override;

  Status become_loader_thread() override;
  Result<Duration> run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) override;

  Status observe(LaunchObserver observer) override;
  std::shared_ptr<Gpu> gpu() override { return gpu_; }
  Result<CUcontext> context_of(const Slice& slice) override { return context_of(slice, Gpu::Use::kHome); }
  CUstream loader_stream() override { return loader_stream_.get(); }
  CUstream homing_stream() override { return homing_stream_.get(); }
  CUstream build_stream() override { return build_stream_.get(); }
  Result<std::shared_ptr<StreamWorker>> worker_of(const Slice& slice) override;
  bool reads_in_place(std::span<const std::byte> bytes) const override {
    return staging_->offset_of(bytes).has_value();
  }
  std::optional<CUdeviceptr> slot_of(std::span<const std::byte> bytes) const override {
    return copies_ ? copies_->slot_of(bytes) : std::nullopt;
  }

 private:
  Status check_within(const Slice& slice) const;
  Result<CUcontext> context_of(const Slice& slice, Gpu::Use use);
  Slice on_gpu(const Slice& slice) const {
    return {static_cast<std::uint16_t>(part_.first + slice.first), slice.count};
  }
  Status make_streams(std::size_t to_run);
  Status follow(CUstream stream, const LaunchOrder::Places& ends) const;
  bool has_to_be_held(const Launch& launch) const;
  void begin(const Launch& launch);
  void begin_held();
  void drop(const Launch& launch, const Error& why);
  Status queue(Flight& flight, const LaunchOrder::Placed& placed);
  Status queue_outputs(CUstream stream, const CudaPlan& plan, const Batch& batch, EndMark& left) const;
  CompletionPoller::Look look(std::size_t place);
  bool time_to_ask();
  CompletionPoller::Look ask(const EndMark& end, bool by_host);
  void await(std::size_t place);
  bool report(const CompletionPoller::Ended& ended);
  bool may_leave(std::size_t place) const;
  void report_copy(const CompletionPoller::Ended& ended);
  Status admit();
  void close_one();
  void tell_observer(std::size_t place, TimePoint told);
  Status wait_for(const EndMark& end, bool by_host) const;
  TimePoint await_inputs(CUevent arrived) const;
  void lose(const Error& reason);
  void tell_down();
  Error closing_error() const { return {ErrorCode::kCancelled, "device " + shape_.name + " is closing"}; }
  Error lost_error() const { return {ErrorCode::kDeviceLost, "device " + shape_.name + " is lost: " + lost_reason_}; }

  const std::shared_ptr<Gpu> gpu_;
  const Driver& driver_;
  const Slice part_;  // of the gpu's atoms
  const DeviceShape shape_;
  std::string hardware_;  // written by start()
  std::unique_ptr<PinnedPool> staging_;
  std::atomic<CompletionSink*> sink_{nullptr};  // a fault of the card may come before there is one

  LaunchOrder order_;
  std::vector<OwnedStream> streams_;
  std::array<OwnedStream, kInboundStreams> inbound_;
  std::size_t next_inbound_ = 0;
  std::array<Flight, LaunchOrder::kMaxInFlight> flights_;
  std::vector<Launch> held_;  // accepted, behind what a worker runs; the role holder's, in order

  std::vector<EndMark> ends_;         // by place: the launches', the copies' and, last, the loader's
  std::vector<EndMark> lefts_;        // of outputs' copies: the launches' and, last, the loader's
  std::vector<std::size_t> leaving_;  // places whose launches have ended but not left, in order; the polling thread's
  std::unique_ptr<InputCopies> copies_;  // none where the device makes none
  std::uint32_t looks_ = 0;              // the polling thread's
  TimePoint ask_at_ = TimePoint::min();  // likewise; min: counted from the next glance on

  LaunchObserver observer_;             // the role holder's, as are these:
  std::unique_ptr<LaunchTimes> times_;  // none before somebody asked
  std::uint64_t launched_ = 0;

  std::vector<OwnedEvent> arrived_;  // the launches' and, last, the loader's

  OwnedStream loader_stream_;
  OwnedStream homing_stream_;
  OwnedStream build_stream_;
  std::map<Slice, std::weak_ptr<StreamWorker>> workers_;  // the loader thread's

  InFlight in_flight_;
  std::atomic<bool> closing_{false};
  std::once_flag lose_once_;
  std::string lost_reason_;  // readable once in_flight_.lost()

  std::unique_ptr<CompletionPoller> poller_;  // last: its thread uses the rest
};

// The card's name, the CUDA version that the driver is for, and its own, where that is told.
Result<std::string> describe(const Gpu& gpu) {
  int version = 0;
  TESSERA_RETURN_IF_ERROR(gpu.driver().check(gpu.driver().driver_get_version(&version), "read the driver's version"));
  const std::string module = nvidia_module_version();
  return gpu.name() + ", driver " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10) +
         (module.empty() ? "" : " " + module);
}

Status Cuda::start(const CudaOptions& options) {
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(hardware_, describe(*gpu_));
  // Now, as making a context waits for whatever kernels run on the card.
  for (const Slice& slice : shape_.ladder) {
    TESSERA_RETURN_IF_ERROR(context_of(slice, Gpu::Use::kHome));
  }
  TESSERA_RETURN_IF_ERROR(context_of(shape_.loader, Gpu::Use::kLoader));
  TESSERA_ASSIGN_OR_RETURN(staging_, make_pinned_staging(gpu_, options.staging));
  const unsigned event_flags = options.wait_in_driver ? CU_EVENT_BLOCKING_SYNC : 0;
  TESSERA_ASSIGN_OR_RETURN(ends_, EndMark::make(gpu_, LaunchOrder::kPlaces + 1, event_flags));
  TESSERA_ASSIGN_OR_RETURN(lefts_, EndMark::make(gpu_, flights_.size() + 1));
  TESSERA_RETURN_IF_ERROR(make_streams(options.streams));
  while (arrived_.size() < flights_.size() + 1) {
    CUevent event = nullptr;
    TESSERA_RETURN_IF_ERROR(driver_.check(driver_.event_create(&event, CU_EVENT_DISABLE_TIMING), "make an event"));
    arrived_.emplace_back(driver_, event);
  }
  for (std::size_t place = 0; place < flights_.size(); ++place) {
    flights_[place].end = &ends_[place];
    flights_[place].left = &lefts_[place];
  }
  CompletionPoller::Watcher watcher{.begin = [this] { static_cast<void>(driver_.ctx_set_current(gpu_->context())); },
                                    .look = [this](std::size_t place) { return look(place); },
                                    .report = [this](const CompletionPoller::Ended& ended) { return report(ended); }};
  if (options.wait_in_driver) {
    watcher.await = [this](std::size_t place) { await(place); };
  }
  poller_ = std::make_unique<CompletionPoller>(shape_.name + ":poll", std::move(watcher), options.poll_pause);
  gpu_->watch_faults(this, [this](const Error& reason) { lose(reason); });
  return ok_status();
}

Status Cuda::make_streams(std::size_t to_run) {
  // One of the loader's is a slice's, and comes below.
  TESSERA_ASSIGN_OR_RETURN(streams_, gpu_->make_streams(to_run + other_streams(shape_.copies) - 1));
  const auto take = [&] {
    OwnedStream stream = std::move(streams_.back());
    streams_.pop_back();
    return stream;
  };
  for (OwnedStream* other : {&inbound_[0], &inbound_[1], &loader_stream_, &homing_stream_}) {
    *other = take();
  }
  InputCopies::Streams ahead{.copies = take(), .ends = {}};
  while (ahead.ends.size() < end_streams(shape_.copies)) {
    ahead.ends.push_back(take());
  }
  TESSERA_ASSIGN_OR_RETURN(build_stream_, gpu_->make_stream_in(on_gpu(shape_.loader), Gpu::Use::kLoader));
  if (shape_.copies > 0) {
    const auto ends = std::span(ends_).subspan(LaunchOrder::kMaxInFlight, LaunchOrder::kMaxCopies);
    TESSERA_ASSIGN_OR_RETURN(copies_, InputCopies::make(gpu_, *staging_, std::move(ahead), ends));
  }
  return ok_status();
}

Status Cuda::check_within(const Slice& slice) const {
  if (slice.count == 0 || slice.end() > shape_.atoms()) {
    return invalid_argument("device " + shape_.name + " has " + std::to_string(shape_.atoms()) + " atoms");
  }
  return ok_status();
}

Result<CUcontext> Cuda::context_of(const Slice& slice, Gpu::Use use) {
  TESSERA_RETURN_IF_ERROR(check_within(slice));
  return gpu_->context_of(on_gpu(slice), use);
}

Result<std::shared_ptr<StreamWorker>> Cuda::worker_of(const Slice& slice) {
  TESSERA_RETURN_IF_ERROR(check_within(slice));
  auto& known = workers_[slice];
  std::shared_ptr<StreamWorker> worker = known.lock();
  if (worker == nullptr) {
    const std::string name = shape_.name + ":w" + std::to_string(slice.first) + "+" + std::to_string(slice.count);
    TESSERA_ASSIGN_OR_RETURN(worker, StreamWorker::start(gpu_, on_gpu(slice), name));
    known = worker;
  }
  return worker;
}

// To be answered by one close_one().
Status Cuda::admit() {
  TESSERA_CHECK(sink_.load() != nullptr);
  if (closing_.load()) {
    return closing_error();
  }
  return in_flight_.open() ? ok_status() : Status(lost_error());
}

void Cuda::close_one() {
  if (in_flight_.close()) {
    tell_down();
  }
}

Status Cuda::copy(const Copy& copy) {
  if (copies_ == nullptr) {
    return CudaDevice::copy(copy);
  }
  TESSERA_RETURN_IF_ERROR(admit());
  const CurrentContext current(*gpu_);
  const TimePoint at = now();
  const auto queued =
      current.status().ok() ? copies_->queue(copy) : Result<InputCopies::Queued>(current.status().error());
  if (queued.ok()) {
    poller_->watch(queued->place, queued->waits_for, at);
    return ok_status();
  }
  const ErrorCode code = queued.error().code();
  const bool refused =
      code == ErrorCode::kResourceExhausted || code == ErrorCode::kOutOfMemory || code == ErrorCode::kInvalidArgument;
  if (!refused) {
    lose(queued.error());  // what is half queued may not be waited for
  }
  close_one();
  return refused ? queued.error() : lost_error();
}

Result<Started> Cuda::launch(const Launch& launch) {
  TESSERA_RETURN_IF_ERROR(check_launch(shape_, launch));
  TESSERA_RETURN_IF_ERROR(admit());
  if (order_.size() + held_.size() == LaunchOrder::kMaxInFlight) {
    close_one();
    return Error(ErrorCode::kResourceExhausted,
                 "device " + shape_.name + " has " + std::to_string(LaunchOrder::kMaxInFlight) + " launches in flight");
  }
  if (has_to_be_held(launch)) {
    held_.push_back(launch);
  } else {
    begin(launch);
  }
  return Started::kQueued;
}

// Behind what a worker runs, or behind one that is held for that.
bool Cuda::has_to_be_held(const Launch& launch) const {
  return order_.waits_for_host(launch) || std::any_of(held_.begin(), held_.end(), [&](const Launch& earlier) {
           return LaunchOrder::must_wait(launch, earlier);
         });
}

// In order: what is held still holds up those behind it.
void Cuda::begin_held() {
  for (Launch& launch : std::exchange(held_, {})) {
    if (in_flight_.lost() || closing_.load()) {
      drop(launch, in_flight_.lost() ? lost_error() : closing_error());
    } else if (has_to_be_held(launch)) {
      held_.push_back(launch);
    } else {
      begin(launch);
    }
  }
}

void Cuda::drop(const Launch& launch, const Error& why) {
  discard_results(*launch.batch);
  sink_.load()->completed({.id = launch.id, .status = why});
  close_one();
}

void Cuda::begin(const Launch& launch) {
  using On = LaunchOrder::On;
  const auto& plan = static_cast<const CudaPlan&>(*launch.plan);
  const bool by_host = plan.worker(launch.slice) != nullptr;
  const bool copies_out = !by_host && plan.copies_outputs(*launch.batch);
  auto placed = order_.add(launch, by_host ? On::kItsOwn : copies_out ? On::kPoolWithCopies : On::kPool);
  TESSERA_CHECK(placed.has_value());
  if (copies_ != nullptr) {
    const LaunchOrder::Places copies = copies_->before(launch.after_copy);
    placed->waits_for |= copies;
    placed->events |= copies;
  }
  Flight& flight = flights_[placed->place];
  flight.launch = launch;
  flight.end->begin();
  flight.cancelled.store(false, std::memory_order_relaxed);
  flight.by_host = by_host;
  flight.copies = copies_out;
  const TimePoint queued = now();
  flight.number = ++launched_;
  flight.begun = queued;
  flight.queued = queue(flight, *placed);
  if (is_fault(flight.queued)) {
    lose(flight.queued.error());  // now, and not only when its turn would come
  }
  poller_->watch(placed->place, placed->waits_for, queued);
}

// An order that the driver does not take is a fault of the device: nothing after it could be trusted to wait.
Status Cuda::queue(Flight& flight, const LaunchOrder::Placed& placed) {
  const CurrentContext current(*gpu_);
  const auto& plan = static_cast<const CudaPlan&>(*flight.launch.plan);
  const LaunchQueue to{
      .run = flight.by_host ? plan.worker(flight.launch.slice)->stream() : streams_[placed.stream].get(),
      .inbound = inbound_[next_inbound_].get(),
      .arrived = arrived_[placed.place].get(),
      .end_word = flight.end->word(),
      .end_number = flight.end->number(),
      .times = observer_ ? times_->clear(placed.place) : 0};
  next_inbound_ = (next_inbound_ + 1) % inbound_.size();
  Status status = current.status();
  if (status.ok()) {
    status = follow(to.run, placed.events);
  }
  if (status.ok()) {
    status = follow(to.inbound, placed.lane);
  }
  if (!status.ok()) {
    return Error(ErrorCode::kDeviceLost, status.error().message());
  }
  status = plan.enqueue(flight.launch.slice, to, *flight.launch.batch);
  flight.timed = to.times != 0 && status.ok() && plan.writes_end();
  flight.by_host = flight.by_host && status.ok();
  if (flight.by_host) {
    return status;
  }
  // Of what could not be queued whole, nothing may be there to write the word.
  if (const Status marked = flight.end->mark(to.run, status.ok() && plan.writes_end()); !marked.ok()) {
    return Error(ErrorCode::kDeviceLost, marked.error().message());
  }
  flight.copies = flight.copies && status.ok();
  return flight.copies ? queue_outputs(to.run, plan, *flight.launch.batch, *flight.left) : status;
}

// Whoever waits for the run waits for its event, which is before these.
Status Cuda::queue_outputs(CUstream stream, const CudaPlan& plan, const Batch& batch, EndMark& left) const {
  left.begin();
  Status queued = plan.enqueue_outputs(stream, batch);
  if (queued.ok()) {
    queued = left.mark(stream, false);
  }
  return queued.ok() ? ok_status() : Status(Error(ErrorCode::kDeviceLost, queued.error().message()));
}

Status Cuda::follow(CUstream stream, const LaunchOrder::Places& ends) const {
  for (std::size_t place = 0; place < ends.size() && ends.any(); ++place) {
    if (ends.test(place)) {
      TESSERA_RETURN_IF_ERROR(
          driver_.check(driver_.stream_wait_event(stream, ends_[place].event(), 0), "order a launch"));
    }
  }
  return ok_status();
}

CompletionPoller::Look Cuda::look(std::size_t place) {
  const EndMark& end = ends_[place];
  if (end.written()) {
    ask_at_ = TimePoint::min();
    return CompletionPoller::Look::kEnded;
  }
  if (!in_flight_.lost() && !time_to_ask()) {
    return CompletionPoller::Look::kRunning;
  }
  return ask(end, place < flights_.size() && flights_[place].by_host);
}

bool Cuda::time_to_ask() {
  if (++looks_ % kLooksPerGlance != 0) {
    return false;
  }
  const TimePoint at = now();
  if (ask_at_ == TimePoint::min()) {
    ask_at_ = at + kAskAfter;
  }
  return at >= ask_at_;
}

// What a worker runs has no event: then only a fault is an answer.
CompletionPoller::Look Cuda::ask(const EndMark& end, bool by_host) {
  if (in_flight_.lost()) {
    return CompletionPoller::Look::kEverythingEnded;
  }
  ask_at_ = TimePoint::min();
  const CUresult result = end.ask();
  if (result == CUDA_SUCCESS || result == CUDA_ERROR_NOT_READY) {
    return result == CUDA_SUCCESS && !by_host ? CompletionPoller::Look::kEnded : CompletionPoller::Look::kRunning;
  }
  lose(driver_.check(result, "run").error());
  return CompletionPoller::Look::kEverythingEnded;
}

// A fault is seen by the next look.
void Cuda::await(std::size_t place) {
  if (place < flights_.size() && flights_[place].by_host) {
    std::this_thread::sleep_for(kWorkerPause);
  } else {
    static_cast<void>(ends_[place].await());
  }
}

// In a slice launches leave in the order in which they ended, also beside one whose outputs are on their way.
bool Cuda::may_leave(std::size_t place) const {
  const Flight& flight = flights_[place];
  if (flight.copies && !flight.left->written() && !in_flight_.lost()) {
    return false;
  }
  for (const std::size_t earlier : leaving_) {
    if (earlier == place) {
      break;
    }
    if (flights_[earlier].launch.slice.overlaps(flight.launch.slice)) {
      return false;
    }
  }
  return true;
}

// From the moment the sink has it, the launch may be retired and its place be used again.
bool Cuda::report(const CompletionPoller::Ended& ended) {
  if (ended.place >= LaunchOrder::kMaxInFlight) {
    report_copy(ended);
    return true;
  }
  if (flights_[ended.place].copies && !may_leave(ended.place) && time_to_ask()) {
    static_cast<void>(ask(*flights_[ended.place].left, false));  // the launch itself is not looked at any more
  }
  const auto leaving = std::find(leaving_.begin(), leaving_.end(), ended.place);
  if (!may_leave(ended.place)) {
    if (leaving == leaving_.end()) {
      leaving_.push_back(ended.place);
    }
    return false;
  }
  if (leaving != leaving_.end()) {
    leaving_.erase(leaving);
  }
  Flight& flight = flights_[ended.place];
  flight.seen = ended.ended;
  const Launch& launch = flight.launch;
  Completion completion{.id = launch.id, .status = flight.queued, .ran = ended.ran};
  if (ended.ran) {
    completion.started = ended.started;
    completion.ended = ended.ended;
    completion.blur = ended.blur;
  }
  const auto& plan = static_cast<const CudaPlan&>(*launch.plan);
  if (in_flight_.lost()) {
    if (completion.status.ok()) {
      plan.abandon(*launch.batch);
    }
    completion.status = lost_error();
  } else if (completion.status.ok()) {
    completion.status = plan.finish(launch.slice, *launch.batch);
    if (is_fault(completion.status)) {
      lose(completion.status.error());
      completion.status = lost_error();
    } else if (flight.cancelled.load(std::memory_order_relaxed)) {
      completion.status = Error(ErrorCode::kCancelled, "cancelled while it ran");
    }
  }
  if (!completion.status.ok()) {
    discard_results(*launch.batch);
  }
  order_.note_ended(ended.place);
  sink_.load()->completed(completion);
  close_one();
  return true;
}

void Cuda::report_copy(const CompletionPoller::Ended& ended) {
  CopyEnd end{.id = copies_->id_at(ended.place), .ended = ended.ended};
  if (in_flight_.lost()) {
    end.status = lost_error();
  }
  copies_->note_ended(ended.place);
  sink_.load()->copied(end);
  close_one();
}

void Cuda::lose(const Error& reason) {
  bool idle = false;
  // A second fault at the same time waits here until the first is known, so that no launch is accepted after either.
  std::call_once(lose_once_, [&] {
    lost_reason_ = reason.message();
    idle = in_flight_.lose();
  });
  if (idle) {
    tell_down();
  }
  gpu_->fail(reason);
}

void Cuda::tell_down() {
  if (CompletionSink* sink = sink_.load()) {
    sink->device_down(lost_error());
  }
}

void Cuda::run_here(LaunchId id) {
  static_cast<void>(id);
  TESSERA_CHECK(false && "never asked for");
}

void Cuda::cancel(LaunchId id) {
  if (const auto place = order_.find(id)) {
    flights_[*place].cancelled.store(true, std::memory_order_relaxed);
    return;
  }
  const auto held = std::find_if(held_.begin(), held_.end(), [&](const Launch& launch) { return launch.id == id; });
  if (held != held_.end()) {
    const Launch launch = *held;
    held_.erase(held);
    drop(launch, {ErrorCode::kCancelled, "cancelled before it began"});
    begin_held();
  }
}

void Cuda::retire(LaunchId id) {
  if (const auto place = order_.find(id)) {
    if (observer_) {
      tell_observer(*place, now());
    }
    order_.remove(*place);
  }  // else it was dropped
  if (!held_.empty()) {
    begin_held();
  }
}

Status Cuda::observe(LaunchObserver observer) {
  if (times_ == nullptr && observer) {
    TESSERA_ASSIGN_OR_RETURN(times_, LaunchTimes::make(gpu_, flights_.size()));
  }
  observer_ = std::move(observer);
  return ok_status();
}

void Cuda::tell_observer(std::size_t place, TimePoint told) {
  const Flight& flight = flights_[place];
  observer_({.number = flight.number,
             .id = flight.launch.id,
             .instance = flight.launch.instance,
             .lane = flight.launch.lane,
             .slice = flight.launch.slice,
             .card = flight.timed && !in_flight_.lost() ? times_->read(place) : CardTimes{},
             .queued = flight.begun,
             .seen = flight.seen,
             .told = told});
}

Status Cuda::become_loader_thread() {
  name_this_thread(shape_.name + ":loader");
  return driver_.check(driver_.ctx_set_current(gpu_->context()), "give the loader thread its context");
}

Result<Duration> Cuda::run_borrowed(const Plan& plan, const Slice& slice, Batch& batch) {
  TESSERA_RETURN_IF_ERROR(check_within(slice));
  if (in_flight_.lost()) {
    return lost_error();
  }
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  const auto& run = static_cast<const CudaPlan&>(plan);
  EndMark& end = ends_.back();
  StreamWorker* const worker = run.worker(slice);
  const CUstream stream = worker != nullptr ? worker->stream() : loader_stream_.get();
  TimePoint started = now();
  end.begin();
  Status status = run.enqueue(slice,
                              {.run = stream,
                               .inbound = stream,
                               .arrived = arrived_.back().get(),
                               .end_word = end.word(),
                               .end_number = end.number()},
                              batch);
  // Also where only a part of it was queued: that part has to end before the caller takes its memory back.
  const bool by_host = worker != nullptr && status.ok();
  Status ended = by_host ? ok_status() : end.mark(stream, status.ok() && run.writes_end());
  const bool copies_out = !by_host && status.ok() && ended.ok() && run.copies_outputs(batch);
  if (copies_out) {
    status = queue_outputs(stream, run, batch, lefts_.back());
    ended = status;
  }
  if (ended.ok() && !by_host) {
    started = std::max(started, await_inputs(arrived_.back().get()));
  }
  if (ended.ok()) {
    ended = wait_for(end, by_host);
  }
  const Duration took = now() - started;
  if (ended.ok() && copies_out) {
    ended = wait_for(lefts_.back(), false);
  }
  if (!ended.ok()) {
    lose(ended.error());
    if (status.ok()) {
      run.abandon(batch);
    }
    return lost_error();
  }
  if (status.ok()) {
    status = run.finish(slice, batch);
  }
  if (is_fault(status)) {
    lose(status.error());
  }
  return status.ok() ? Result<Duration>(took) : status.error();
}

// When they were there: copies that a borrowed run makes itself are made ahead of a served one. A fault is seen by who
// waits for the end.
TimePoint Cuda::await_inputs(CUevent arrived) const {
  if (driver_.event_query(arrived) != CUDA_ERROR_NOT_READY) {
    return TimePoint::min();
  }
  TimePoint asked = now();
  do {
    while (now() - asked < kInputsPause) {
      pause_briefly();
    }
    asked = now();
  } while (driver_.event_query(arrived) == CUDA_ERROR_NOT_READY);
  return asked;
}

Status Cuda::wait_for(const EndMark& end, bool by_host) const {
  TimePoint ask_at = now() + kAskAfter;
  while (!end.written()) {
    if (now() >= ask_at) {
      const CUresult result = end.ask();
      if (result != CUDA_ERROR_NOT_READY && !(by_host && result == CUDA_SUCCESS)) {
        return driver_.check(result, "run");
      }
      ask_at = now() + kAskAfter;
    }
    pause_briefly();
  }
  return ok_status();
}

}  // namespace

// NOLINTNEXTLINE(performance-unnecessary-value-param): devices that tell of launches keep it
Status CudaDevice::observe(LaunchObserver /*observer*/) {
  return Error(ErrorCode::kUnsupported, "device " + shape().name + " tells nothing of its launches");
}

Result<std::unique_ptr<CudaDevice>> make_cuda_device(std::shared_ptr<Gpu> gpu, const CudaOptions& options) {
  const Slice part = part_of(*gpu, options.spec);
  if (part.count == 0 || part.end() > gpu->atoms() || options.spec.gpu != gpu->ordinal()) {
    return invalid_argument(to_string(options.spec) + " is not on " + gpu->name() + ", which has " +
                            std::to_string(gpu->atoms()) + " atoms");
  }
  if (options.streams == 0) {
    return invalid_argument(to_string(options.spec) + " needs a stream");
  }
  if (options.copies > LaunchOrder::kMaxCopies) {
    return invalid_argument("at most " + std::to_string(LaunchOrder::kMaxCopies) + " copies can be outstanding");
  }
  auto device = std::make_unique<Cuda>(std::move(gpu), options);
  if (const Status started = device->start(options); !started.ok()) {
    return started.error().in(to_string(options.spec));
  }
  return std::unique_ptr<CudaDevice>(std::move(device));
}

}  // namespace tessera::device
