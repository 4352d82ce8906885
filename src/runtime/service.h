// The inference server without its wire: what the HTTP and gRPC front ends, tests and in-process callers talk to.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "core/request.h"
#include "device/device.h"
#include "engine/engine.h"
#include "model/instance.h"
#include "model/lifecycle.h"
#include "model/live_params.h"
#include "runtime/recorder.h"
#include "runtime/statistics.h"
#include "sched/policy.h"
#include "sched/scheduler.h"

namespace tessera::runtime {

// One request on its way. The front end fills `request`, keeps what it needs to answer in its subclass, and hands the
// call over; the service calls done() exactly once, on any thread, possibly before infer() returns. The thread may be
// the one that runs the slice's next batch: done() writes or hands over the answer, and does nothing long.
class InferCall {
 public:
  virtual ~InferCall() = default;
  virtual void done(Result<InferResponse> result) noexcept = 0;

  InferRequest request;  // untouched by the service, so that what is computed at done() may still read it

 private:
  friend class Serving;
  friend class Fleet;
  friend class SetAside;
  friend class Dispatcher;
  // Whether the request waited for its model to be loaded again, and whether as the first one.
  enum class Waited : std::uint8_t { kNot, kFirst, kBehind };
  Waited waited_ = Waited::kNot;          // written before it is queued, read when it is answered
  std::atomic<std::uint64_t> ticket_{0};  // a RequestId of its device, set by infer(); 0: none yet, or on its way
  std::atomic<std::uint16_t> device_{0};  // set before
};

// Memory for one request's tensors, charged to the model's byte quota as bytes arrive. Owned by who fills it.
class BodyMemory {
 public:
  virtual ~BodyMemory() = default;
  virtual std::span<std::byte> bytes() = 0;  // aligned to 64; the size asked for
  virtual Status charge(Bytes arrived) = 0;  // in total so far. Error: kResourceExhausted, over the model's quota

  // The device that the memory is nearest to, by number: to be told as InferRequest::device. None: all the same.
  std::optional<std::uint16_t> device;
};

// What is served, and what has been learned of it: what a simulation of this server has to know. Value.
struct Snapshot {
  struct Tenant {
    std::string name;  // of the model; of its older versions with ":VERSION" behind
    std::string model;
    sched::ModelParams params;                // as they are now
    std::vector<sched::ProfilePoint> points;  // on the first device that serves it; may be empty
    double beside_others = 0;                 // there, as of sched::Scheduler
    double rows_per_second = 0;               // that arrive lately, on all devices
  };
  std::string policy;
  DeviceShape device;       // the first that is up
  std::size_t devices = 0;  // that are up
  std::vector<Tenant> tenants;
  Duration jitter{0};  // as of sched::Profile: the mean of those that know
};

struct ServiceOptions {
  std::string policy = "tessera";  // sched::make_policy
  // Of every device, in place of what the name stands for: for who measures with a policy of his own, which is never
  // changed for another one.
  std::function<std::unique_ptr<sched::Policy>()> own_policy = {};
  std::shared_ptr<Recorder> recorder;  // of what is decided; nullptr: none
  model::LifecycleOptions models;
  Bytes body_quota_per_model{std::uint64_t{1} << 30};
  std::size_t max_waiting = 65536;  // requests in all queues; further ones get kResourceExhausted
  std::size_t max_homes = sched::SchedulerLimits{}.max_homes;  // on each device: plans that were homed one by one
  bool strict_readiness = true;                                // ready only when every model of the start is
  // The last device is lost: nothing can be answered any more. Called once, on any thread; must be short.
  std::function<void()> on_all_lost = [] {};
  // stuck() has changed. On any thread; must be short.
  std::function<void()> on_stuck = [] {};
};

// A device with the engine that makes its plans.
struct DeviceUnit {
  std::unique_ptr<device::Device> device;
  std::unique_ptr<engine::Engine> engine;
  std::size_t max_homes = sched::SchedulerLimits{}.max_homes;  // what its memory is good for, of an added one
};

// Thread-safe.
class Service {
 public:
  // A device's number, as models and metrics know it, is its place in `units`. Engines are all of one kind.
  static Result<std::unique_ptr<Service>> create(ServiceOptions options, std::vector<DeviceUnit> units);
  static Result<std::unique_ptr<Service>> create(ServiceOptions options, std::unique_ptr<device::Device> device,
                                                 std::unique_ptr<engine::Engine> engine);
  ~Service();  // drain() first, where answers matter

  // Loads the models of the control mode; returns when they are ready or have failed.
  Status start();

  // Checks the request against its model, queues it and returns; see InferCall.
  void infer(std::shared_ptr<InferCall> call);
  // The peer went away: a waiting request is dropped (done() is called with kCancelled), a launched one is finished.
  void cancel(const InferCall& call);

  // Near to the device that the request is to go to, which its body says. Error: kNotFound as find(); kTooLarge or
  // kResourceExhausted when the pool cannot give so much; kDeviceLost when all devices with the model are.
  Result<std::shared_ptr<BodyMemory>> lease_body(std::string_view model, Bytes size);

  // Error: kNotFound with the text clients match. Without a version: the newest one that serves.
  Result<std::shared_ptr<const model::Instance>> find(std::string_view model,
                                                      std::optional<std::int64_t> version) const;
  std::vector<std::int64_t> versions(std::string_view model) const;  // serving ones, ascending
  std::vector<std::shared_ptr<const model::Instance>> serving() const;

  bool live() const;  // a device is up: else only a new process helps
  // Why the server is not ready and its process is to end: a batch that does not end. Nothing: there is none (any
  // more).
  std::optional<std::string> stuck() const;
  bool accepts() const;  // not draining, a device is up
  bool ready() const;    // started, accepts and not stuck; with strict readiness every model of the start is ready on
                         // some device, and so is what a lost one served

  // ---- What an operator changes while models serve: one change at a time, not from within a call's done() ----

  // Error: kNotFound as find(). Without a version: of the newest one.
  Result<sched::LiveParams> params(std::string_view model, std::optional<std::int64_t> version = std::nullopt) const;
  // Of all versions that serve, on all devices; returns what now holds for the newest. Written nowhere: a load takes
  // the configuration's values again. Error: kNotFound; those of model::with_changes(), and nothing was changed.
  Result<sched::LiveParams> change_params(std::string_view model, const model::ParamChanges& changes);
  // The configuration with what has changed since. Error: as find().
  Result<std::shared_ptr<const inference::ModelConfig>> config(std::string_view model,
                                                               std::optional<std::int64_t> version) const;
  std::string policy() const;
  Snapshot snapshot();  // likewise not from within a call's done()
  // One more device, of the engines' kind, in the next place: it serves what the others serve as soon as that is loaded
  // there, with the parameters that hold, of which `loaded` hears once (Lifecycle::add). Error: there are
  // device::kMaxDevices, one of that name is there, the engine is another, the server has not started or stops; then
  // `loaded` is not called. May throw where no thread can be had; then no device can be added any more.
  Status add_device(DeviceUnit unit, std::function<void(Status)> loaded);
  // On all devices. Error: kInvalidArgument, no such policy; kUnsupported, a model has shares that it would not heed.
  Status change_policy(const std::string& policy);

  model::Lifecycle& models();
  model::ControlMode control_mode() const;
  const std::string& device_kind() const;  // of all devices: as model::ConfigDefaults

  // By model and version; the versions that are gone are kept until the model's next load.
  Result<std::vector<ModelStatistics>> statistics(std::string_view model, std::optional<std::int64_t> version) const;
  std::vector<ModelStatistics> statistics() const;
  std::vector<DeviceStatistics> device_statistics() const;  // by number
  // A front end tells of tensor bytes that it copied from one user-space place to another (device_statistics()).
  void count_copied(Bytes bytes);

  // New requests are refused from here on. Whether accepted ones wait for a model that is loaded again: then loads have
  // to go on.
  bool refuse_new();
  // Readiness off, new requests refused; returns when all accepted ones are answered or `limit` has passed (false).
  bool drain(std::chrono::milliseconds limit);
  // What was decided until now is on the disk; nothing more is recorded. For who ends the process without destroying
  // this.
  void end_recording();
  // Answers all that waits and everything that comes. For who ends the process without destroying this.
  void abandon();

 private:
  class State;
  explicit Service(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tessera::runtime
