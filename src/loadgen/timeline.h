// When what became of requests: the course of a run, tenant by tenant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace tessera::loadgen {

// What became of the requests of a tenant that were scheduled in one step; the rest of them was rejected.
struct Moment {
  std::uint32_t offered = 0;
  std::uint32_t answered = 0;
  std::uint32_t met = 0;
  std::uint32_t failed = 0;
  Duration slowest{0};  // answer

  void merge(const Moment& other);
};

// Steps of 100 ms; once there are kMost of them they are joined two by two, so that a run may be as long as it will.
// Value.
class Timelines {
 public:
  static constexpr std::size_t kMost = 600;  // of a tenant

  explicit Timelines(std::size_t tenants = 0) : tenants_(tenants) {}

  // That of a request which was scheduled so long after the begin. Valid until the next call.
  Moment& at(std::size_t tenant, Duration since_begin);

  // All have as many moments as cover that long.
  void cover(Duration length);

  Duration step() const { return step_; }
  const std::vector<Moment>& of(std::size_t tenant) const { return tenants_[tenant]; }
  std::size_t tenants() const { return tenants_.size(); }

 private:
  void join_pairs();

  Duration step_ = std::chrono::milliseconds(100);
  std::vector<std::vector<Moment>> tenants_;
};

}  // namespace tessera::loadgen
