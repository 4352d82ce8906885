// Which devices hold which models: the slow loop around the schedulers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace tessera::sched {

// A device as the placer sees it. Value.
struct PlacerDevice {
  bool up = true;
  std::optional<Bytes> memory;  // for models; none: not limited
};

// A model as the placer sees it. Value.
struct PlacerModel {
  std::string name;
  Bytes bytes;                     // that one replica takes
  double rate = 0;                 // requests a second, of late
  Duration idle{0};                // since its last request
  bool evictable = false;          // may leave while idle, and comes back at its next request
  bool wanted = true;              // false: evictable, not loaded, and nobody has asked for it since
  std::vector<bool> allowed;       // by device; empty: all. Where no allowed device is up, any other serves.
  std::vector<bool> loaded;        // by device; empty: on none
  std::vector<Duration> residing;  // by device, where loaded: since when. Empty: since ever
};

struct PlacerAction {
  enum class Kind { kLoad, kUnload };
  Kind kind = Kind::kLoad;
  std::size_t model = 0;   // place in the list
  std::size_t device = 0;  // likewise
  friend bool operator==(const PlacerAction&, const PlacerAction&) = default;
};

// What is to be done, in order (what makes room comes first), and which wanted models find no room.
struct Placement {
  std::vector<PlacerAction> actions;
  std::vector<std::size_t> refused;
};

struct PlacerOptions {
  Duration idle_before_eviction = std::chrono::seconds(10);  // a model used since is not idle
  Duration stay = std::chrono::seconds(30);                  // a second replica is not taken away sooner
};

// Every model on every device while memory suffices. Where it does not, every wanted model has one replica before any
// has a second one: second replicas leave, those of the least asked first, then idle evictable models, the least
// recently used first; else the model is refused. What was just loaded stays for a while, and nothing leaves for a
// second replica: one that came does not go again in the next round. Immutable, and pure.
class Placer {
 public:
  explicit Placer(PlacerOptions options = {}) : options_(options) {}

  // What `models` lack on `devices`. A refused model may find room in a later round, where one that is in its way got a
  // second replica elsewhere in this one; with each such round one model less is refused, so that it comes to rest.
  Placement decide(const std::vector<PlacerDevice>& devices, const std::vector<PlacerModel>& models) const;

 private:
  PlacerOptions options_;
};

}  // namespace tessera::sched
