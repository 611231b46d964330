// base/metrics.h - a process's metrics, printed in two forms: Prometheus's text and the JSON that
// Vitess serves at /debug/vars, so that monitors and probes of either kind read both.
//
// Names are Vitess's ("QueryCounts"); Prometheus gets "vtgate_query_counts". Label values are
// joined by '.' in the JSON, in the order in which the labels were declared. Our own registry and
// not prometheus-cpp: there labels are sorted by name and values are doubles, so the joined keys
// and exact integers would be kept a second time, and what is left is one page of text. Threads:
// any. Hot paths keep the Counter& that With gave; adding to it is one relaxed atomic.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace paceline {

// Only grows.
class alignas(64) Counter {
 public:
  void Add(int64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

class alignas(64) Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t by) { value_.fetch_add(by, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Counts by size: `cutoffs` ascending, a value belongs to the first cutoff that is not below it.
class alignas(64) Histogram {
 public:
  static constexpr size_t kMaxCutoffs = 15;
  explicit Histogram(const std::vector<int64_t>& cutoffs);
  void Observe(int64_t value) {
    size_t bucket = 0;
    while (bucket < cutoffs_.size() && value > cutoffs_[bucket]) ++bucket;
    buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
    total_.fetch_add(value, std::memory_order_relaxed);
  }
  void Observe(Duration elapsed) { Observe(static_cast<int64_t>(elapsed.count())); }
  const std::vector<int64_t>& cutoffs() const { return cutoffs_; }
  // Not cumulative; bucket cutoffs().size() holds what is above all cutoffs.
  int64_t bucket(size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }
  int64_t total() const { return total_.load(std::memory_order_relaxed); }
  int64_t count() const;

 private:
  const std::vector<int64_t>&
      cutoffs_;  // the family's, which lives as long as the process's metrics
  std::array<std::atomic<int64_t>, kMaxCutoffs + 1> buckets_{};
  std::atomic<int64_t> total_{0};
};

// Metrics of one name, told apart by label values. kLimit bounds how many, since values may come
// from outside: what is beyond it is counted together under "other".
template <class T>
class MetricFamily {
 public:
  static constexpr size_t kLimit = 2000;
  explicit MetricFamily(std::vector<std::string> labels, std::vector<int64_t> cutoffs = {})
      : labels_(std::move(labels)), cutoffs_(std::move(cutoffs)) {}
  // The reference stays valid. Takes a lock: not for each query. REQUIRES: one value for each
  // label.
  T& With(const std::vector<std::string>& values);
  const std::vector<std::string>& labels() const { return labels_; }
  void ForEach(const std::function<void(const std::vector<std::string>&, const T&)>& visit) const;

 private:
  const std::vector<std::string> labels_;
  const std::vector<int64_t> cutoffs_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<T>> children_;
};

struct MetricSample {
  std::vector<std::string> values;  // one for each label
  int64_t value = 0;
};
enum class CallbackKind : uint8_t { kCounter, kGauge };

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  static Metrics& Process();

  // Asking again for a name gives the same metric. REQUIRES: the same kind and labels.
  Counter& AddCounter(std::string_view name, std::string_view help);
  Gauge& AddGauge(std::string_view name, std::string_view help);
  MetricFamily<Counter>& AddCounters(std::string_view name, std::string_view help,
                                     std::vector<std::string> labels);
  MetricFamily<Gauge>& AddGauges(std::string_view name, std::string_view help,
                                 std::vector<std::string> labels);
  // Nanoseconds, with Vitess's cutoffs from 0.5 ms to 10 s; in seconds for Prometheus.
  MetricFamily<Histogram>& AddTimings(std::string_view name, std::string_view help,
                                      std::vector<std::string> labels);
  // At most kMaxCutoffs cutoffs.
  Histogram& AddHistogram(std::string_view name, std::string_view help,
                          std::vector<int64_t> cutoffs);

  // Values read when somebody asks, on the asker's thread (web's loop), with the registry locked:
  // they must be quick and must not use the registry. They are asked no more once the handle is
  // gone.
  class [[nodiscard]] Callback {
   public:
    Callback() = default;
    Callback(Callback&& other) noexcept;
    Callback& operator=(Callback&& other) noexcept;
    ~Callback();

   private:
    friend class Metrics;
    Callback(Metrics* metrics, uint64_t id) : metrics_(metrics), id_(id) {}
    Metrics* metrics_ = nullptr;
    uint64_t id_ = 0;
  };
  Callback AddCallback(std::string_view name, std::string_view help, CallbackKind kind,
                       std::function<int64_t()> read);
  Callback AddCallback(std::string_view name, std::string_view help, CallbackKind kind,
                       std::vector<std::string> labels,
                       std::function<std::vector<MetricSample>()> read);
  // A text; Prometheus does not show it.
  Callback AddText(std::string_view name, std::function<std::string()> read);

  // `program` is the prefix of each name: "vtgate".
  std::string PrometheusText(std::string_view program) const;
  std::string VarsJson() const;

 private:
  struct State;
  void Remove(uint64_t id);
  std::unique_ptr<State> state_;
};

// Vitess's rules: "QueryCounts" gives "query_counts", "VSchemaErrors" "vschema_errors".
std::string PrometheusName(std::string_view name);
// `text` with quotes, as JSON; bytes that are not UTF-8 become U+FFFD.
std::string JsonText(std::string_view text);

}  // namespace paceline
