import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams with exactly-once semantics, with nothing but JSON parsed, or with memberships in a state store.
 *
 * <p>Arguments: broker, topic, application id, events, `empty` or `job`, the topic of triggers.
 *
 * <p>The job evaluates rules like those of benchmarks/workload.py, compiled to Java, on features that it draws from the customer's
 * number: it reads no warehouse and no cache, predicts nothing and stores no decisions. It prints the figures of stopwatch.py.
 */
public final class KafkaStreamsJob {
    private static final int RULES = 100;
    private static final int CAMPAIGN_SEGMENTS = 20;
    private static final double ENTERING = 80.0;
    private static final int WARM_PERCENT = 10;
    private static final String STORE = "memberships";
    private static final String[] COUNTRIES = {"GB", "DE", "FR", "ES"};

    private KafkaStreamsJob() {}

    public static void main(String[] arguments) throws InterruptedException, IOException {
        long events = Long.parseLong(arguments[3]);
        boolean job = arguments[4].equals("job");
        Watch watch = new Watch(events);
        Path state = Files.createTempDirectory("kafka-streams-");
        KafkaStreams streams = new KafkaStreams(topology(arguments, watch, job), properties(arguments, state));
        streams.start();
        watch.await();
        streams.close();
        try (var files = Files.walk(state)) {
            files.sorted(Comparator.reverseOrder()).forEach(each -> each.toFile().delete());
        }
        System.out.println(watch.report());
    }

    private static Properties properties(String[] arguments, Path state) {
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[2]);
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return properties;
    }

    private static Topology topology(String[] arguments, Watch watch, boolean job) {
        var texts = Serdes.String();
        var bytes = Serdes.ByteArray();
        Topology topology = new Topology();
        topology.addSource("updates", texts.deserializer(), bytes.deserializer(), arguments[1]);
        if (!job) {
            topology.addProcessor("parse", () -> new Parse(watch), "updates");
            return topology;
        }
        topology.addProcessor("decide", () -> new Decide(watch), "updates");
        var store = Stores.persistentKeyValueStore(STORE);
        topology.addStateStore(Stores.keyValueStoreBuilder(store, texts, bytes).withCachingEnabled(), "decide");
        topology.addSink("triggers", arguments[5], texts.serializer(), bytes.serializer(), "decide");
        return topology;
    }

    /** Starts after the first tenth of the events and stops at the last. */
    private static final class Watch {
        private final AtomicLong seen = new AtomicLong();
        private final AtomicLong triggers = new AtomicLong();
        private final CountDownLatch done = new CountDownLatch(1);
        private final long events;
        private final long warm;
        private volatile long began;
        private volatile long ended;
        private volatile long spentBefore;
        private volatile long spentAfter;

        Watch(long events) {
            this.events = events;
            this.warm = events * WARM_PERCENT / 100;
        }

        void note() {
            long number = seen.incrementAndGet();
            if (number == warm) {
                began = System.nanoTime();
                spentBefore = cpu();
            } else if (number == events) {
                ended = System.nanoTime();
                spentAfter = cpu();
                done.countDown();
            }
        }

        void await() throws InterruptedException {
            done.await();
        }

        String report() {
            long counted = events - warm;
            double seconds = (ended - began) / 1e9;
            double spent = (spentAfter - spentBefore) / 1e9;
            return String.format(
                    Locale.ROOT,
                    "{\"events_per_s\": %.1f, \"cpu_s_per_million\": %.3f, \"triggers\": %d}",
                    counted / seconds,
                    spent / counted * 1e6,
                    triggers.get());
        }

        private static long cpu() {
            return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
        }
    }

    private static class Parse implements Processor<String, byte[], String, byte[]> {
        private final ObjectMapper json = new ObjectMapper();
        private final Watch watch;

        Parse(Watch watch) {
            this.watch = watch;
        }

        @Override
        public void process(Record<String, byte[]> record) {
            handle(record, read(record.value()));
            watch.note();
        }

        void handle(Record<String, byte[]> record, JsonNode event) {}

        private JsonNode read(byte[] value) {
            try {
                return json.readTree(value);
            } catch (IOException error) {
                throw new IllegalArgumentException(error);
            }
        }
    }

    private static final class Decide extends Parse {
        private final List<Predicate<Row>> rules = rules();
        private final Watch watch;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, byte[]> memberships;

        Decide(Watch watch) {
            super(watch);
            this.watch = watch;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            memberships = context.getStateStore(STORE);
        }

        @Override
        void handle(Record<String, byte[]> record, JsonNode event) {
            Row row = Row.draw(event.get("customer_id").asText());
            byte[] stored = memberships.get(record.key());
            BitSet before = stored == null ? new BitSet() : BitSet.valueOf(stored);
            BitSet now = new BitSet(RULES);
            for (int number = 0; number < RULES; number++) {
                now.set(number, rules.get(number).test(row));
            }
            if (now.equals(before)) {
                return;
            }
            memberships.put(record.key(), now.toByteArray());
            now.andNot(before);
            for (int number = now.nextSetBit(0); number >= 0 && number < CAMPAIGN_SEGMENTS; number = now.nextSetBit(number + 1)) {
                if (row.consent) {
                    context.forward(record.withValue(trigger(event, number)));
                    watch.triggers.incrementAndGet();
                }
            }
        }

        private static byte[] trigger(JsonNode event, int campaign) {
            String text = String.format(
                    "{\"customer_id\": \"%s\", \"event_id\": \"%s\", \"campaign\": \"campaign-%d\", \"occurred_at\": \"%s\"}",
                    event.get("customer_id").asText(),
                    event.get("id").asText(),
                    campaign,
                    event.get("occurred_at").asText());
            return text.getBytes(StandardCharsets.UTF_8);
        }
    }

    /** Features of a customer; `activity` is another number at each read, as in the view of the benchmark. */
    private record Row(int revenue, int transactions, int recency, int tenure, String country, boolean consent, double activity) {
        static Row draw(String customer) {
            int hash = Integer.parseInt(customer.substring(1)) * 0x9E3779B9 >>> 1;
            double activity = ThreadLocalRandom.current().nextDouble() * 1000;
            return new Row(hash % 5000, 1 + hash % 40, hash % 90, 1 + hash % 700, COUNTRIES[hash % 4], hash % 20 != 0, activity);
        }

        int column(int number) {
            return switch (number % 4) {
                case 0 -> revenue;
                case 1 -> transactions;
                case 2 -> recency;
                default -> tenure;
            };
        }
    }

    private static List<Predicate<Row>> rules() {
        List<Predicate<Row>> rules = new ArrayList<>();
        double width = ENTERING / CAMPAIGN_SEGMENTS;
        for (int each = 0; each < RULES; each++) {
            int number = each;
            if (number < CAMPAIGN_SEGMENTS) {
                rules.add(row -> row.activity >= number * width && row.activity < (number + 1) * width);
                continue;
            }
            int low = 7 * number % 4000;
            Predicate<Row> between = row -> row.column(number) >= low && row.column(number) < low + 5 + number;
            String country = COUNTRIES[number % 4];
            rules.add(number % 3 == 0 ? between : between.and(row -> row.country.equals(country)));
        }
        return rules;
    }
}
