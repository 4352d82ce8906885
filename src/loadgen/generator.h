// Load by a schedule that nothing holds up: what is late is the request, not the next one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/time.h"
#include "loadgen/outcome.h"
#include "loadgen/target.h"
#include "loadgen/timeline.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

struct LoadOptions {
  std::uint64_t seed = 1;
  Duration warm_up = std::chrono::seconds(1);    // requests scheduled before count nowhere
  Duration length = std::chrono::seconds(10);    // after it
  Duration patience = std::chrono::seconds(10);  // after the end, for what is on its way
  std::size_t most_in_flight = 1024;             // of one tenant; what goes beyond is not sent and has failed
  std::vector<std::uint64_t> most_misses;        // by tenant: the run ends where one has more; empty: it does not
  std::function<void(double)> progress;          // hears now and then which share is done; may be empty
  std::function<bool()> stopped;                 // asked now and then: whether the run is to end now; may be empty
};

// A part of the counted time, by when requests were scheduled.
struct Period {
  double seconds = 0;
  Tally tally;  // of the tenants with an objective; where none has one, of all
};

// How late the 99th percentile of a run's requests may be handed over, by the tightest objective, if there is one, so
// that the figures are the server's: 5 % of it up to 1 ms, from 100 ms on 1 %. What is below 0.2 ms is no fault of a
// generator: so long a thread that sleeps takes to run again on a machine whose cores are all busy (p99; two cores).
inline constexpr Duration kLeastLateness = std::chrono::microseconds(200);
Duration lateness_limit(std::optional<Duration> tightest);

// The first few texts of what failed, each with how often, and "others".
using Failures = std::map<std::string, std::uint64_t>;
inline constexpr std::size_t kMaxFailureTexts = 8;  // of a tenant

// Value.
struct LoadOutcome : Outcome {
  std::vector<Failures> failures;  // by tenant
  Duration period{0};              // but the last may be shorter
  std::vector<Period> periods;
  Timelines timelines;
  TimePoint began{};    // the counted time
  double began_at = 0;  // likewise, Unix time in seconds
  std::string invalid;  // why the figures say nothing of the server; empty: they do
};

// Open loop: every request at its time, whatever became of those before. Closed loop: `outstanding` at once, each after
// an answer, or a millisecond after another end. Latencies count from the schedule (Tally). Owned by one thread.
class Generator {
 public:
  explicit Generator(Target& target) : target_(target) {}

  // `tenants` in the target's order, prepared there. May be called again and again.
  LoadOutcome run(const std::vector<Tenant>& tenants, const LoadOptions& options);

  // Waits for what a run left on its way, so that the next one finds the target idle; `most` at the longest.
  void let_end(Duration most);

 private:
  struct Source {
    std::unique_ptr<Arrivals> arrivals;  // nothing: closed loop, or one that never asks
    ScheduledArrival next;
    std::size_t in_flight = 0;
    std::uint64_t misses = 0;
  };
  struct Due {
    TimePoint at{};
    std::size_t tenant = 0;
    bool operator<(const Due& other) const { return at > other.at; }  // the earliest is the top of the queue
  };
  struct Flight {
    std::size_t tenant = 0;
    TimePoint scheduled{};
    bool open = false;
    std::uint64_t number = 0;
  };

  void begin(const std::vector<Tenant>& tenants, const LoadOptions& options);
  void issue_due();
  void count_busy(TimePoint time);
  void issue(const Due& due);
  void settle(const Answer& answer);
  Flight* flight_of(const Answer& answer);  // nothing: of an earlier run
  void count(std::size_t tenant, TimePoint scheduled, const Answer& answer);
  void fail(std::size_t tenant, TimePoint scheduled, const std::string& text);
  void ask_again(std::size_t tenant, TimePoint at);
  void cut_short(TimePoint time);
  bool done(TimePoint time) const;
  TimePoint wake(TimePoint time) const;
  void finish();
  bool counts(TimePoint scheduled) const { return scheduled >= counted_from_ && scheduled < ends_; }
  Period* period_of(std::size_t tenant, TimePoint scheduled);  // nothing: the tenant is not in it

  Target& target_;
  std::uint64_t serial_ = 0;  // of all runs: answers of an earlier one find no flight

  const std::vector<Tenant>* tenants_ = nullptr;  // the rest: of the present run
  const LoadOptions* options_ = nullptr;
  LoadOutcome out_;
  TimePoint zero_{};  // what scheduled times count from
  TimePoint counted_from_{};
  TimePoint ends_{};
  std::vector<Source> sources_;
  std::priority_queue<Due> due_;
  std::vector<Flight> flights_;
  std::vector<std::size_t> free_;
  std::size_t counted_open_ = 0;
  bool objectives_ = false;           // some tenant has one
  std::optional<Usage> used_before_;  // by the begin of the counted time
  bool used_known_ = false;           // by its end, too, or there is nothing to know
};

// The rows that requests of a tenant may have; what Target::prepare() is to be told.
std::vector<std::int32_t> rows_of(const TenantSpec& spec);

// The median latency of requests with so many rows, one at a time, for a second at most. Error: one of them failed.
Result<Duration> latency_alone(Target& target, std::size_t tenant, std::int32_t rows);

}  // namespace tessera::loadgen
