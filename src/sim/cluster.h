// A workload on simulated devices: one, or nodes of several behind a front router.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/slice.h"
#include "loadgen/measure.h"
#include "loadgen/outcome.h"
#include "loadgen/workload.h"
#include "sched/placer.h"
#include "sched/router.h"
#include "sim/device.h"
#include "sim/loop.h"
#include "sim/profiles.h"
#include "sim/tenants.h"

namespace tessera::sim {

// What became of one request. Value.
struct Answer {
  std::size_t tenant = 0;
  TimePoint arrival{};
  std::optional<TimePoint> ended;  // nothing: rejected
  bool waited = false;             // for its model, which was on no device
};

// One batch on a slice. Value.
struct BatchRun {
  std::size_t tenant = 0;
  std::uint32_t device = 0;
  std::int32_t rows = 0;
  std::int32_t bucket = 0;
  Slice slice;
  TimePoint begin{};
  TimePoint end{};
  double atom_seconds() const { return std::chrono::duration<double>(end - begin).count() * slice.count; }
};

// A device that is lost, or that joins: until then it is not there. Value.
struct DeviceChange {
  Duration after{};  // the part that counts began
  std::uint32_t device = 0;
  bool lost = true;
};

// A model begins to load on a device, or leaves it, if only since that is lost. Value.
struct Move {
  TimePoint at{};
  std::size_t tenant = 0;
  std::uint32_t device = 0;
  bool loads = true;
};

struct ClusterOptions {
  std::string policy = "tessera";
  std::size_t devices = 1;
  std::size_t devices_per_node = 8;
  std::uint64_t seed = 1;
  Duration warm_up = std::chrono::seconds(1);           // requests that arrive before count nowhere
  Duration length = std::chrono::seconds(10);           // after it
  bool profiled = true;                                 // otherwise schedulers know no latency at the start
  std::vector<DeviceChange> changes;                    // each device joins and is lost once at most
  Duration load_time = std::chrono::milliseconds(300);  // of a model on a device that joins or takes over
  // Models may leave for others while nobody asks for them, and come back when somebody does: who asks waits for that.
  // The placer is asked as often as this, and when a model is asked for that is on no device. 0: each is placed once.
  Duration placing{0};
  std::vector<std::uint64_t> most_misses;  // by tenant: the run ends where one has more; empty: it does not
  // For who wants more than counts; they may be empty. Of all requests, also those that do not count, and of runs that
  // end within the part that counts.
  std::function<void(const Answer&)> answered = {};
  std::function<void(const BatchRun&)> ran = {};
  std::function<void(const Move&)> moved = {};  // at the start of the run, too
};

// What came out. Value.
struct Outcome : loadgen::Outcome {
  double busy = 0;             // share of all atoms' time
  std::uint64_t events = 0;    // of all schedulers
  std::uint64_t requests = 0;  // also those that did not count
};

// Requests go to the node with the fewest of them open, as a front proxy would send them, and there where sched::Router
// says. Which tenants a node holds is decided once (tenants.h), which devices of it by sched::Placer, at the start and
// when one joins or is lost: then what ran on it fails, and what waited there moves; or time and again. Same options
// and seed, same outcome, byte for byte. Owned by one thread.
class Cluster final : private Observer, private Loop::Target {
 public:
  // Error: unknown policy, a model without profile, or one that finds no room; a change of a device that is not there.
  static Result<std::unique_ptr<Cluster>> make(const DeviceProfile& profile, std::vector<loadgen::Tenant> tenants,
                                               const ClusterOptions& options);

  // Once. `progress` hears now and then which share of the run is done; it may be empty.
  Outcome run(const std::function<void(double)>& progress);

 private:
  struct Tenant {
    loadgen::Tenant spec;
    std::unique_ptr<loadgen::Arrivals> arrivals;  // nothing: closed loop
    loadgen::ScheduledArrival next;
    std::vector<std::uint32_t> nodes;  // that hold it
    std::uint32_t turn = 0;
    std::uint64_t misses = 0;
    loadgen::Tally tally;
    double rate = 0;           // a second, of late; at first what the workload says
    std::uint64_t lately = 0;  // requests since the placer was asked
    TimePoint last_asked{};
  };
  struct Residence {
    TimePoint since{};
    bool loads = false;  // and does not serve yet
  };
  struct Holder {
    std::uint32_t place = 0;   // of its device in the node
    std::uint64_t routed = 0;  // requests sent there
  };
  using Holders = std::vector<Holder>;  // by place, ascending
  struct Node {
    std::uint32_t first_device = 0;
    std::uint64_t open = 0;                                      // requests
    std::vector<std::uint32_t> held;                             // tenants
    std::vector<std::vector<bool>> allowed;                      // by place in `held` and device; empty: all
    std::vector<Holders> holders;                                // by tenant
    std::vector<std::map<std::uint32_t, Residence>> residences;  // by tenant and place: holders, and those that load
    std::vector<std::vector<std::uint32_t>> waiting;             // by tenant: requests, until its model is there
  };
  struct Request {
    std::uint32_t tenant = 0;
    std::uint32_t node = 0;
    std::uint32_t device = 0;
    std::int32_t rows = 0;
    bool launched = false;
    bool waited = false;       // for its model
    std::uint64_t serial = 0;  // 0: none
    TimePoint arrival{};
  };
  struct Loading {
    std::uint32_t device = 0;
    std::uint32_t tenant = 0;
  };
  // With the place of a tenant, a change, a loading.
  enum class Moment : std::uint32_t { kAsk, kChange, kLoaded, kPlace };
  static constexpr std::uint32_t kNoDevice = ~std::uint32_t{0};  // of a request that waits for its model
  static std::uint64_t token(Moment moment, std::size_t place) {
    return (static_cast<std::uint64_t>(moment) << 32U) | static_cast<std::uint32_t>(place);
  }

  Cluster(const DeviceProfile& profile, const ClusterOptions& options) : profile_(profile), options_(options) {}
  Status build(std::vector<loadgen::Tenant> tenants);
  Status add_device(std::uint32_t index);
  void add_model(std::uint32_t device, std::uint32_t tenant);

  // cluster_placing.cc
  void say_who_may_hold();
  bool evictable() const { return options_.placing > Duration{0}; }
  Status place();
  Status place_on(std::uint32_t node);
  std::vector<sched::PlacerDevice> devices_of(const Node& node) const;
  sched::PlacerModel placer_model(const Node& node, std::uint32_t tenant, std::size_t devices) const;
  void carry_out(Node& node, std::uint32_t tenant, const sched::PlacerAction& action);
  void place_anew();
  void load(const Loading& loading);
  bool lives(const Node& node) const;
  bool wait_for_model(std::uint32_t slot);
  std::vector<std::uint32_t> take_waiting(Node& node, std::uint32_t tenant);
  void move_waiting(Node& node);
  void fail_waiting();

  // cluster_changes.cc
  Status check_changes() const;
  void change(const DeviceChange& change);
  void move_requests(std::uint32_t device);

  // cluster.cc
  void due(std::uint64_t of) override;
  void ask(std::uint32_t tenant);
  void acts(const sched::Action& action) override;
  void ended(const sched::StartLaunch& launch) override;
  void ran(const sched::StartLaunch& launch, TimePoint begin, TimePoint end) override;

  void issue(std::uint32_t tenant, std::int32_t rows);
  bool send(std::uint32_t slot);
  void send(std::uint32_t slot, std::uint32_t node);
  std::optional<std::uint32_t> choose_node(std::uint32_t tenant);
  static Holders::iterator holder_at(Holders& holders, std::uint32_t place);  // or where it would be
  static bool holds(const Holders& holders, std::uint32_t place);
  std::uint32_t choose_device(Node& node, std::uint32_t tenant);
  static std::uint32_t slot_of(RequestId id);
  Request close(RequestId id);
  Request close(std::uint32_t slot);
  void fail(std::uint32_t slot);
  void count_miss(Tenant& tenant);
  void ask_again(std::uint32_t tenant, Duration pause);
  bool counts(TimePoint arrival) const { return arrival >= counted_from_ && arrival < ends_; }

  const DeviceProfile& profile_;
  ClusterOptions options_;
  Loop loop_;
  sched::Router router_;
  std::vector<Tenant> tenants_;
  std::vector<TenantModel> models_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<bool> up_;  // by device
  std::vector<Loading> loadings_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_requests_;
  std::vector<sched::Candidate> candidates_;
  std::uint64_t serial_ = 0;
  TimePoint counted_from_{};
  TimePoint ends_{};
  bool gave_up_ = false;
};

}  // namespace tessera::sim
