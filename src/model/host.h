// What the life of a model needs from the runtime that serves it. Keeps model/ below runtime/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "core/slice.h"
#include "device/device.h"
#include "model/instance.h"
#include "sched/profile.h"

namespace tessera::model {

// Implemented by runtime/, called by the loader thread alone.
class Host {
 public:
  virtual ~Host() = default;

  virtual device::Device& device() = 0;
  virtual InstanceId next_instance_id() = 0;

  // Runs `step` on the calling thread while `slice` is borrowed from the scheduler; waits until it is granted.
  virtual Status with_borrowed(const Slice& slice, Duration expected, const std::function<Status()>& step) = 0;

  // Versions of the model are about to be loaded that reserve `share` of the device together, in place of those that
  // serve; `as_served`: with what holds for it on other devices now instead. Kept for them until end_claim(). Error:
  // not so much is left; it names all models that reserve some, and their shares.
  virtual Status claim_share(const std::string& model, double share, bool as_served) {
    static_cast<void>(model);
    static_cast<void>(share);
    static_cast<void>(as_served);
    return ok_status();
  }
  virtual void end_claim() {}

  // From here on the instance serves. Requests without a version go to the newest published version of a name.
  virtual Status publish(std::shared_ptr<const Instance> instance, sched::Profile profile) = 0;

  // `slice` got its plans (for all buckets and lanes).
  virtual void slice_ready(const Instance& instance, const Slice& slice) = 0;

  // ---- Of instances that grow ----

  // Runs `step` on the calling thread while nothing of the published instance runs in `lane`; waits until that is so.
  virtual Status with_lane(const Instance& instance, LaneIndex lane, const std::function<Status()>& step) = 0;
  // `slice` got the plan of one bucket and lane.
  virtual void plan_ready(const Instance& instance, const Slice& slice, std::int32_t bucket, LaneIndex lane) = 0;
  virtual void measured(const Instance& instance, const Slice& slice, std::int32_t bucket, Duration took) = 0;
  // No further bucket comes. Requests with more rows are refused, with these words.
  virtual void buckets_end(const Instance& instance, const std::string& cause) = 0;

  // It was asked to be loaded again, and nothing of it has changed: what was changed while it served (live_params.h) is
  // as its configuration says once more.
  virtual void reloaded(const Instance& instance) = 0;

  // No new requests reach the instance; returns when what it had accepted is answered. Then the caller lets go of it.
  // The instance's learned profile comes back, to be kept.
  virtual sched::Profile withdraw(const Instance& instance) = 0;

  // ---- Of models that leave for want of memory and come back at their next request ----

  // When the published instance got its last request; nothing while one waits or runs.
  virtual std::optional<TimePoint> idle_since(const Instance& instance) = 0;

  // As withdraw(), but the version is still known: requests for it wait, and the first of them asks for its return
  // (Lifecycle::bring_back). That ends with publish() of the same version, or with one of the two below.
  virtual sched::Profile set_aside(const Instance& instance) = 0;
  // The load is over, and nothing of the model is set aside here any more. The requests that still wait go to what
  // serves; where nothing can have them they are told `why`, or, where that is well, that there is no such version.
  virtual void end_aside(const std::string& model, const Status& why) = 0;
  // It could not be loaded and stays set aside; the requests that wait are told. Any thread.
  virtual void return_failed(const std::string& model, const Error& error) = 0;
};

}  // namespace tessera::model
