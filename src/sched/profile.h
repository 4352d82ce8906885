// Latency of a model by batch size and slice size: measured at some points, interpolated between, corrected by what is
// observed.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.h"

namespace tessera::sched {

struct ProfilePoint {
  std::int32_t bucket = 1;      // rows
  std::int32_t processors = 1;  // of the slice: SMs, cores
  Duration latency{0};          // of one run, median
};

// Value owned by one scheduler. Points come from measurements at load or from a cache; observe() corrects them. Between
// known points latency is interpolated in logarithms of rows and processors, beyond them extrapolated with slopes that
// are kept between "no gain" and "proportional".
class Profile {
 public:
  Profile() = default;
  explicit Profile(const std::vector<ProfilePoint>& points);

  // Time of one run of `bucket` rows on `processors`; nothing when no point is known at all. Never shorter with more
  // rows. Sizes of slices that are known are as they are: 20 processors of an H200 that lie scattered are slower than
  // 16 that do not. Between them and beyond, never shorter with fewer processors. At least 1 ns, whatever was observed:
  // others divide by it.
  std::optional<Duration> latency(std::int32_t bucket, std::int32_t processors) const;

  // The same for one size of slices: rows are looked up once for all buckets, best asked for in ascending order. Of a
  // profile that knows some point; good until it changes. Value, for one thread.
  class Curve {
   public:
    Curve(const Profile& profile, std::int32_t processors) : profile_(profile), processors_(processors) {
      rows_.reserve(profile.buckets_.size());
    }
    Duration at(std::int32_t bucket);

   private:
    struct Row {
      double log_bucket;
      double log_ns;  // no less than with fewer rows
    };
    const Row& row(std::size_t index);

    const Profile& profile_;
    std::int32_t processors_;
    std::vector<Row> rows_;  // of the profile's buckets, as far as they were asked for
  };
  bool empty() const { return cells_.empty(); }

  // The shortest of all points' times, in whatever slice that is. Nothing until a slice with so many `processors` was
  // measured, or seen often: a larger one may be faster.
  std::optional<Duration> fastest(std::int32_t processors) const;

  // The same of a slice that has no neighbours, which is the whole device: what was measured there and never seen
  // running is as measured, for what the others take longer beside each other tells nothing of it. Of points that are
  // known alone; nothing for others.
  std::optional<Duration> without_neighbours(std::int32_t bucket, std::int32_t processors) const;

  // One more measured point; where runs of that size were seen already, only to compare them with.
  void add(const ProfilePoint& point);

  // A run was seen to take this long, and `overhead` more until the scheduler heard of its end. What was measured but
  // never seen running is scaled along: by how much longer the others took than they were measured.
  void observe(std::int32_t bucket, std::int32_t processors, Duration took, Duration overhead = Duration{0});

  // The learned 99th percentile of (observed + overhead - predicted), not below zero: what a guarantee has to add.
  // Predicted is what readers of this version were told, which what is learned in between does not change.
  Duration margin() const { return margin_; }

  // Deviation of runs' times from what was predicted, lately; 0 as long as little was seen. It hardly depends on how
  // long runs are: on an H200 it is 60 to 100 us from 0.6 to 2.8 ms.
  Duration jitter() const;

  // Whether enough runs were seen to turn a request away because of a prediction.
  bool confident() const { return observations_ >= kConfidentAfter; }
  // Changes when predictions or the margin have moved noticeably: time to read them again.
  std::uint32_t version() const { return version_; }

  std::vector<ProfilePoint> points() const;  // the corrected ones, to be kept on disk

  // Everything there is of it, for a journal, whose replay has to predict the same; defined in journal_codec.h.
  template <typename Archive, typename Self>
  static void members(Archive& archive, Self& self);

 private:
  static constexpr std::uint32_t kConfidentAfter = 8;
  static constexpr std::size_t kErrors = 256;

  struct Cell {
    double latency_ns = 0;
    double prior_ns = 0;      // as measured; 0: it was not
    double published_ns = 0;  // as of version_
    std::uint32_t observations = 0;
    std::int32_t streak = 0;  // of observations far off on the same side: above if positive
    double predicted_ns = 0;  // latency() when the version was predicted_version; 0: never asked
    std::uint32_t predicted_version = 0;
  };
  using Key = std::pair<std::int32_t, std::int32_t>;  // (bucket, processors)

  using Cells = std::vector<std::pair<Key, Cell>>;

  Cells::const_iterator lower_bound(const Key& key) const;
  Cells::const_iterator find(const Key& key) const;
  Cell& cell_of(const Key& key);  // a new one where there was none
  double prediction(const Key& key, Cell& cell) const;
  double row_log_latency(std::int32_t bucket, std::int32_t processors) const;
  double processor_slope() const;
  double bucket_slope(std::int32_t low, std::int32_t high) const;
  static void correct(Cell& cell, double took_ns);
  void scale_unseen();
  void record_error(double error_ns);
  void note_jitter(double error_ns, double predicted_ns);
  void publish_if_moved(const Cell& cell, bool others);

  Cells cells_;                        // ascending; few, and looked through with every run
  std::vector<std::int32_t> buckets_;  // those of cells_, ascending
  std::vector<double> errors_ns_;      // a ring of the last kErrors (observed - predicted)
  std::size_t next_error_ = 0;
  double scale_ = 1;          // of priors, where nothing was seen
  double variance_ = 0;       // of jitter(), ns squared
  std::uint32_t steady_ = 0;  // observations that it is made of
  std::uint32_t observations_ = 0;
  std::uint32_t version_ = 0;
  Duration margin_{0};
};

}  // namespace tessera::sched
