#include "bench/cuda_device/gaps.h"

#include <map>
#include <optional>
#include <random>

#include "tests/support/cuda/gaps.h"

namespace tessera::device::bench {
namespace {

constexpr int kLaunches = 10'000;
constexpr std::size_t kPlaces = 64;      // as many as BenchPlan remembers
constexpr int kCommittedAndRunning = 2;  // of an atom
constexpr int kAttempts = 50;            // to find a slice that takes another launch

// Launches in slices drawn by chance, so many that every atom always has one committed behind the running one.
class Hopping {
 public:
  Hopping(CudaDevice& device, const BenchPlan& plan)
      : shape_(device.shape()), plan_(plan), loop_(device), batches_(kPlaces), in_flight_(shape_.atoms(), 0) {
    for (const Slice& slice : shape_.ladder) {
      if (slice.count >= 2 && slice.count <= shape_.atoms() / 2) {
        slices_.push_back(slice);
      }
    }
    for (std::size_t place = 0; place < kPlaces; ++place) {
      batches_[place].bucket = static_cast<std::int32_t>(place);
      free_.push_back(place);
    }
  }

  std::vector<contract::CardSpan> run() {
    spans_.resize(kLaunches);
    while (ended_ < kLaunches) {
      fill();
      const LaunchId id = loop_.next()->id;
      const auto [place, number] = who_.at(id);
      who_.erase(id);
      spans_[number].began_ns = plan_.began_ns(batches_[place]);
      spans_[number].ended_ns = plan_.ended_ns(batches_[place]);
      count(spans_[number].slice, -1);
      free_.push_back(place);
      ++ended_;
    }
    return std::move(spans_);
  }

 private:
  void count(const Slice& slice, int by) {
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      in_flight_[atom] += by;
    }
  }
  bool takes(const Slice& slice) const {
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      if (in_flight_[atom] >= kCommittedAndRunning) {
        return false;
      }
    }
    return true;
  }
  void fill() {
    for (int attempt = 0; attempt < kAttempts && launched_ < spans_.size() && !free_.empty(); ++attempt) {
      const Slice& slice = slices_[random_() % slices_.size()];
      if (!takes(slice)) {
        continue;
      }
      const std::size_t place = free_.back();
      free_.pop_back();
      spans_[launched_].slice = slice;
      who_[loop_.launch(plan_, slice, batches_[place])] = {place, launched_};
      ++launched_;
      count(slice, 1);
    }
  }

  const DeviceShape& shape_;
  const BenchPlan& plan_;
  Loop loop_;
  std::mt19937 random_{3};
  std::vector<Slice> slices_;
  std::vector<Batch> batches_;
  std::vector<std::size_t> free_;                                // places
  std::vector<int> in_flight_;                                   // by atom
  std::map<LaunchId, std::pair<std::size_t, std::size_t>> who_;  // place, number
  std::vector<contract::CardSpan> spans_;
  std::size_t launched_ = 0;
  int ended_ = 0;
};

}  // namespace

void gaps_between(const char* name, CudaDevice& device, ProbeKit& kit, Duration busy) {
  const BenchPlan plan(kit, busy);
  print(name, to_json(contract::gaps_of(Hopping(device, plan).run(), device.shape().atoms())));
}

}  // namespace tessera::device::bench
